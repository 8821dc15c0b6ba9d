/** Idempotency keys of the API: what a caller sent, reduced to a fingerprint that tells a repeat from another request. */
import { createHash } from 'node:crypto';
import { ShoalError } from '@shoal/contracts';
import type { NewJob } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';

export type Idempotency = NonNullable<NewJob['idempotency']>;

/** Room is left for `/<index>`, which the jobs of a bulk call add. */
const KEY = /^[\x21-\x7e]{1,200}$/;

/** The Idempotency-Key of a request, if it has one. */
export function readIdempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && KEY.test(key)) return key;
  const message = 'give 1 to 200 printable ASCII characters without spaces';
  throw new ShoalError('invalid_request', `Idempotency-Key: ${message}`, {
    faults: [{ path: 'Idempotency-Key', message }],
  });
}

/** SHA-256 over path and body. The order of an object's keys does not count: it means nothing in JSON. */
export function fingerprint(path: string, body: unknown): string {
  return createHash('sha256').update(path).update('\n').update(canonicalJson(body)).digest('hex');
}

function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
}
