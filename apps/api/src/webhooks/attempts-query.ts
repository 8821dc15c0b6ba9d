/** The query of `GET /v1/webhook-endpoints/{id}/attempts`. */
import { parse } from '@shoal/contracts';
import { z } from 'zod';
import { Limit } from '../http/limit.js';

const AttemptsQuery = z.strictObject({
  limit: Limit,
  cursor: z
    .string()
    .regex(/^\d{1,20}-\d{1,20}$/, 'give the next_cursor of the page before')
    .optional(),
  message: z.string().min(1).max(64).optional(),
});

export function readAttemptsQuery(query: unknown) {
  const { limit, cursor, message } = parse(AttemptsQuery, { ...(query as object) });
  return { limit, ...(cursor !== undefined && { cursor }), ...(message !== undefined && { message }) };
}
