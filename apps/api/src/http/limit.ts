/** `limit` in the query of a list. */
import { z } from 'zod';

const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 20;
const LIMIT_FAULT = `give a whole number from 1 to ${MAX_LIMIT}`;

export const Limit = z
  .string({ error: LIMIT_FAULT })
  .regex(/^\d{1,3}$/, LIMIT_FAULT)
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= MAX_LIMIT, LIMIT_FAULT)
  .default(DEFAULT_LIMIT);
