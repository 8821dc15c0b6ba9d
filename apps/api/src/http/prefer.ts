/** How long a caller wants to wait for its job: `?wait=N` or `Prefer: wait=N` (RFC 7240), in seconds. */
import { MAX_WAIT_SECONDS, parse } from '@shoal/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

const WAIT_FAULT = `give whole seconds from 0 to ${MAX_WAIT_SECONDS}`;

export const Wait = z
  .string({ error: WAIT_FAULT })
  .regex(/^\d{1,2}$/, WAIT_FAULT)
  .transform(Number)
  .refine((seconds) => seconds <= MAX_WAIT_SECONDS, WAIT_FAULT);

const WaitQuery = z.strictObject({ wait: Wait.optional() });
const WaitPreference = z.object({ wait: Wait });

/** The wait in ms, 0 where none is asked for. The query wins over the header; an unknown query parameter is a fault. */
export function readWait(request: FastifyRequest, reply: FastifyReply): number {
  const { wait } = parse(WaitQuery, { ...(request.query as object) });
  const preferred = preference(request.headers.prefer, 'wait');
  if (wait !== undefined) return wait * 1000;
  if (preferred === undefined) return 0;
  const seconds = parse(WaitPreference, { wait: preferred }).wait;
  reply.header('Preference-Applied', 'wait');
  return seconds * 1000;
}

/** The value of one preference: `respond-async, wait=10; foo=bar` → `10` for `wait`. */
function preference(header: string | string[] | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const entry of String(header).split(',')) {
    const [key, value] = (entry.split(';', 1)[0] ?? '').split('=', 2);
    if (key?.trim().toLowerCase() === name) return (value ?? '').trim().replaceAll('"', '');
  }
  return undefined;
}
