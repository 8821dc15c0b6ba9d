/** The query of `GET /v1/jobs`. */
import { JobState, ModelName, parse } from '@shoal/contracts';
import type { JobFilter } from '@shoal/queue';
import { z } from 'zod';

const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 20;
const LIMIT_FAULT = `give a whole number from 1 to ${MAX_LIMIT}`;

export const ListQuery = z.strictObject({
  status: JobState.optional(),
  model: ModelName.optional(),
  limit: z
    .string({ error: LIMIT_FAULT })
    .regex(/^\d{1,3}$/, LIMIT_FAULT)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_LIMIT, LIMIT_FAULT)
    .default(DEFAULT_LIMIT),
  cursor: z.string().min(1).max(512).optional(),
});

export function readListQuery(query: unknown): JobFilter {
  const { status, model, limit, cursor } = parse(ListQuery, { ...(query as object) });
  return { limit, ...(status && { status }), ...(model && { model }), ...(cursor && { cursor }) };
}
