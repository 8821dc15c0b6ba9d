/**
 * Idempotency keys: a key is reserved with the body's fingerprint and the id the job will have, before the job is written;
 * a repeat finds the id and goes on with it, so that however often a call is repeated there is one job.
 */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import { idempotencyKey, queueTag } from './keys.js';
import { type Command, sendMany } from './many.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';

const KEEP_SECONDS = 24 * 3600;

/** `<fingerprint> <job id> <reserved|admitted>` */
interface Reservation {
  readonly fingerprint: string;
  readonly id: string;
  readonly admitted: boolean;
}

const format = (r: Reservation) => `${r.fingerprint} ${r.id} ${r.admitted ? 'admitted' : 'reserved'}`;

function parseReservation(text: string): Reservation {
  const [fingerprint, id, state] = text.split(' ') as [string, string, string];
  return { fingerprint, id, admitted: state === 'admitted' };
}

export interface KeyUse {
  readonly tenant: string;
  readonly key: string;
  readonly fingerprint: string;
  /** The id the job gets unless the key already has one. */
  readonly id: string;
}

/**
 * Per use: the id to go on with and whether its job was written before; or `idempotency_conflict`, or why not.
 *
 * Of a cluster, the node of one key may be away while those of others answer. The queue's own is asked with them, so that
 * the jobs of a queue that hangs are not made to wait for it a second time. Rejects where it does not answer.
 */
export async function reserve(
  redis: RedisClient,
  queue: string,
  uses: readonly KeyUse[],
): Promise<({ id: string; admitted: boolean } | ShoalError)[]> {
  if (uses.length === 0) return [];
  const cluster = redis instanceof Cluster;
  const commands = uses.map(
    (use): Command => ['set', keyOf(use), format({ ...use, admitted: false }), 'EX', KEEP_SECONDS, 'NX', 'GET'],
  );
  if (cluster) commands.push(['exists', queueTag(queue)]);
  const replies = await sendMany(redis, commands);
  const [away] = replies[uses.length] ?? [];
  if (away) throw away;
  return uses.map((use, n) => {
    const [error, before] = replies[n]!;
    if (error && cluster) return redisError(error);
    if (error) throw error;
    if (before === null) return { id: use.id, admitted: false };
    const found = parseReservation(String(before));
    if (found.fingerprint !== use.fingerprint) {
      return new ShoalError(
        'idempotency_conflict',
        'use a new Idempotency-Key for another body, or repeat the first body',
      );
    }
    return { id: found.id, admitted: found.admitted };
  });
}

/** After the job is written: a repeat whose record is gone must answer "gone", not run it again. */
export async function confirm(redis: RedisClient, uses: readonly KeyUse[]): Promise<void> {
  if (uses.length === 0) return;
  await sendMany(
    redis,
    uses.map((use) => ['set', keyOf(use), format({ ...use, admitted: true }), 'KEEPTTL', 'XX']),
  );
}

/** A repeat of the same call may have been admitted meanwhile: then the key stays. */
const DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/** After a definite refusal (429): the key may be used again, also with another body. */
export async function release(redis: RedisClient, uses: readonly KeyUse[]): Promise<void> {
  if (uses.length === 0) return;
  const replies = await sendMany(
    redis,
    uses.map((use) => ['eval', DELETE_IF_EQUAL, 1, keyOf(use), format({ ...use, admitted: false })]),
  );
  // Whether the key is free must be known before the refusal is told; a failed command does not reject by itself.
  for (const [error] of replies) if (error) throw error;
}

function keyOf({ tenant, key }: KeyUse): string {
  return idempotencyKey(tenant, key);
}
