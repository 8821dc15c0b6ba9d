/** The query of `GET /v1/jobs`. */
import { JobState, ModelName, parse } from '@shoal/contracts';
import type { JobFilter } from '@shoal/queue';
import { z } from 'zod';
import { Limit } from '../http/limit.js';

export const ListQuery = z.strictObject({
  status: JobState.optional(),
  model: ModelName.optional(),
  limit: Limit,
  cursor: z.string().min(1).max(512).optional(),
});

export function readListQuery(query: unknown): JobFilter {
  const { status, model, limit, cursor } = parse(ListQuery, { ...(query as object) });
  return { limit, ...(status && { status }), ...(model && { model }), ...(cursor && { cursor }) };
}
