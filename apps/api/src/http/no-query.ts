/** Routes that read without a query: a field there would be one that the caller wrongly counts on. */
import { parse } from '@shoal/contracts';
import { z } from 'zod';

const NoQuery = z.strictObject({});

/** Throws `invalid_request` that names every field. */
export function refuseQuery(query: unknown): void {
  parse(NoQuery, { ...(query as object) });
}
