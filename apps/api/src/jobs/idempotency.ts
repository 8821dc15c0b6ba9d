/** Idempotency keys of the API: what a caller sent, reduced to a fingerprint that tells a repeat from another request. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import type { NewJob } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';
import { jsonPieces, type Order } from '../http/json-pieces.js';

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

/**
 * SHA-256 over path and body. The order of an object's keys does not count: it means nothing in JSON. Large bodies are read
 * in pieces, with other requests between.
 */
export async function fingerprint(path: string, body: unknown): Promise<string> {
  const hash = createHash('sha256').update(path).update('\n');
  let first = true;
  for (const piece of jsonPieces(body, byName)) {
    if (!first) await turn();
    first = false;
    hash.update(piece);
  }
  return hash.digest('hex');
}

const byName: Order = (fields) => fields.sort(([a], [b]) => (a < b ? -1 : 1));
