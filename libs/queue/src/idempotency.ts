/**
 * Idempotency keys: a key is reserved with the body's fingerprint and the id the job will have, before the job is written;
 * a repeat finds the id and goes on with it, so that however often a call is repeated there is one job. A key whose call
 * was refused keeps the id too, for a while: a repeat of the call may be on its way to be admitted under it.
 */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import { idempotencyKey, parseJobId, queueTag } from './keys.js';
import { type Command, sendEach } from './pipeline.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';

/** A key stands for this long, and for as long as the job's result may be kept after that. */
const KEEP_MS = 24 * 3600_000;
/** A refused call that was repeated has been admitted or refused by then. */
const REFUSED_MS = 60_000;
/** What a key takes in Redis, beside its own length. */
export const KEY_BYTES = 300;

export function keepKeyMs(retentionMs: number): number {
  return KEEP_MS + retentionMs;
}

/** `<fingerprint> <job id> <reserved, admitted or refused>` */
interface Reservation {
  readonly fingerprint: string;
  readonly id: string;
  readonly state: 'reserved' | 'admitted' | 'refused';
}

const format = (use: Omit<Reservation, 'state'>, state: Reservation['state']) =>
  `${use.fingerprint} ${use.id} ${state}`;

function parseReservation(text: string): Reservation {
  const [fingerprint, id, state] = text.split(' ') as [string, string, Reservation['state']];
  return { fingerprint, id, state };
}

export interface KeyUse {
  readonly tenant: string;
  readonly key: string;
  readonly fingerprint: string;
  /** The id the job gets unless the key already has one. */
  readonly id: string;
  /** How long the job's result is kept. */
  readonly retentionMs: number;
}

/**
 * What the key says, or nothing where it was free and now has the reservation (ARGV[1], for ARGV[2] ms). One that was
 * refused is free: for the same call (ARGV[3], its fingerprint) under the same id, for another under a new one.
 */
const RESERVE = `local found = redis.call('GET', KEYS[1])
if found then
  local same, refused = string.match(found, '^(%S+ )%S+ (%l+)$')
  if refused ~= 'refused' then return found end
  if same == ARGV[3] .. ' ' then
    found = string.gsub(found, 'refused$', 'reserved')
    redis.call('SET', KEYS[1], found, 'PX', ARGV[2])
    return found
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false`;

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
    (use): Command => [
      'eval',
      RESERVE,
      1,
      keyOf(use),
      format(use, 'reserved'),
      keepKeyMs(use.retentionMs),
      use.fingerprint,
    ],
  );
  if (cluster) commands.push(['exists', queueTag(queue)]);
  const replies = await sendEach(redis, commands);
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
    return { id: found.id, admitted: found.state === 'admitted' };
  });
}

/** Unless the key has gone to another job meanwhile. */
const CONFIRM = `local found = redis.call('GET', KEYS[1])
if found and string.sub(found, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. 'admitted', 'PX', ARGV[2])
return 1`;

/** After the job is written: a repeat whose record is gone must answer "gone", not run it again. */
export async function confirm(redis: RedisClient, uses: readonly KeyUse[]): Promise<void> {
  if (uses.length === 0) return;
  await sendEach(
    redis,
    uses.map((use) => ['eval', CONFIRM, 1, keyOf(use), `${use.fingerprint} ${use.id} `, keepKeyMs(use.retentionMs)]),
  );
}

/** A repeat of the same call may have been admitted meanwhile: then the key stays as it is. */
const REFUSE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** After a definite refusal (429): the key may be used again, also with another body. */
export async function release(redis: RedisClient, uses: readonly KeyUse[]): Promise<void> {
  if (uses.length === 0) return;
  const replies = await sendEach(
    redis,
    uses.map((use) => ['eval', REFUSE, 1, keyOf(use), format(use, 'reserved'), format(use, 'refused'), REFUSED_MS]),
  );
  // A failed command does not reject by itself.
  for (const [error] of replies) if (error) throw error;
}

/** The queue of the job that a key stands for; null where it is free. */
export async function readQueueOfKey(redis: RedisClient, tenant: string, key: string): Promise<string | null> {
  const found = await redis.get(idempotencyKey(tenant, key));
  return found === null ? null : (parseJobId(parseReservation(found).id)?.queue ?? null);
}

function keyOf({ tenant, key }: KeyUse): string {
  return idempotencyKey(tenant, key);
}
