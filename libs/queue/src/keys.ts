/** Names of everything in Redis, and the form of a job id. docs/redis.md tells what stands behind each key. */
import { randomFillSync } from 'node:crypto';
import { ulid } from 'ulid';

/** Announces ended jobs (full ids, space-separated) to API replicas. */
export const ENDED_CHANNEL = 'shoal:ended';
/** Announces cancelled and expired jobs to workers, which drop what has not started. */
export const DROPPED_CHANNEL = 'shoal:dropped';

/** Announces a queue's jobs that started or have new outputs to the API replicas that show one of them to somebody. */
export function movedChannel(queue: string): string {
  return `shoal:moved:${queue}`;
}

/** Tells the API replicas that show one of a queue's jobs what was made of its answers (lua/text.lua). */
export function textChannel(queue: string): string {
  return `shoal:text:${queue}`;
}

/** Names of the queues that have an outbox to look into. */
export const QUEUES_KEY = 'shoal:queues';

/** Queues that have work or something to forget, by when to look (schedule.ts). */
export const SCHEDULE_KEY = 'shoal:queues:schedule';
/** Which API replica sweeps. */
export const SWEEPER_KEY = 'shoal:queues:sweeper';
/** Tenants by the bytes that they hold in all queues (held-totals.ts). */
export const HELD_KEY = 'shoal:queues:held';

/** What processes tell each other of models. */
export const MODELS_TAG = '{shoal:models}';

/** BullMQ's queue name; its keys start with the tag as prefix, so they share the queue's Cluster slot. */
export const CHUNKS = 'chunks';

/** `{shoal:<queue>}`: the hash tag that keeps all keys of one queue in one Cluster slot. */
export function queueTag(queue: string): string {
  return `{shoal:${queue}}`;
}

export function recordKey(queue: string, ulid: string): string {
  return `${queueTag(queue)}:job:${ulid}`;
}

/** Its own slot: the key must be found before it is known which queue the job went to. */
export function idempotencyKey(tenant: string, key: string): string {
  return `shoal:idempotency:{${tenant} ${key}}`;
}

export function queueName(model: string, version: string, variant: string, shard = 0): string {
  return `${model}.${version}.${variant}.${shard}`;
}

/** What `queueName` made a name of. */
export function parseQueue(queue: string): {
  readonly name: string;
  readonly version: string;
  readonly variant: string;
} {
  const [, name = queue, version = '', variant = ''] = /^(.+)\.(\d+)\.([a-z0-9_-]+)\.\d+$/.exec(queue) ?? [];
  return { name, version, variant };
}

export interface JobId {
  readonly queue: string;
  readonly ulid: string;
}

const ULID = /^[0-9a-hjkmnp-tv-z]{26}$/;
const JOB_ID = /^([a-z0-9][a-z0-9._-]*\.\d+\.[a-z0-9_-]+\.\d+)\.([0-9a-hjkmnp-tv-z]{26})$/;

/** `<model>.<version>.<variant>.<shard>.<ulid>`: any replica finds the record from the id alone. Null where it is none. */
export function parseJobId(id: string): JobId | null {
  const match = JOB_ID.exec(id);
  return match ? { queue: match[1]!, ulid: match[2]! } : null;
}

export function isUlid(text: string): boolean {
  return ULID.test(text);
}

export function formatJobId({ queue, ulid }: JobId): string {
  return `${queue}.${ulid}`;
}

/** Crockford's base 32, as ULIDs have it. */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const DRAW_DIGITS = 8;

/** A number in [0, 1) that is the job's own: made of the random end of its ULID, 40 bits of it. */
export function drawOf(ulid: string): number {
  let value = 0;
  for (const digit of ulid.slice(-DRAW_DIGITS)) value = value * DIGITS.length + DIGITS.indexOf(digit);
  return value / DIGITS.length ** DRAW_DIGITS;
}

const pool = new Uint32Array(1024);
let next = pool.length;

/** Random numbers in [0, 1) from the system's generator, drawn 1,024 at a time: one system call each would cost 4 µs. */
function random(): number {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  return pool[next++]! / 0x1_0000_0000;
}

/** A new ULID in lower case: sorts by `now` (Unix ms), 80 random bits. */
export function newUlid(now: number): string {
  return ulid(now, random).toLowerCase();
}
