/** Where a job that waits stands in its queue, and when its turn is expected. */
import type { JobId } from './keys.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';
import type { QueuePlace } from './types.js';

/** What is further away than this many seconds is not known: a rate that has all but died down says so. */
const FORESEEN_SECONDS = 24 * 3600;

/** As lua/place.lua returns it. */
type Reply = readonly [now: number, before: number, chunks: number, tokens: number];

const placeScript = queueScript<Reply | null>('place.lua');

/** Null where the tenant has no such job that waits. `rate`: tokens a second that end; 0 where it is not known. */
export async function readPlace(
  redis: RedisClient,
  { queue, ulid }: JobId,
  tenant: string,
  rate: number,
): Promise<QueuePlace | null> {
  const reply = await placeScript(redis, queue, [ulid, tenant]);
  if (reply === null) return null;
  const [now, before, chunks, tokens] = reply;
  const seconds = secondsUntil({ position: before + 1, chunks, tokens }, rate);
  return { position: before + 1, startsAt: seconds === null ? null : now + Math.round(seconds * 1000) };
}

/** The time in which so many chunks of mean size end, as a place is free when one has; null where that cannot be foreseen. */
export function secondsUntil(
  { position, chunks, tokens }: { readonly position: number; readonly chunks: number; readonly tokens: number },
  rate: number,
): number | null {
  if (rate <= 0) return null;
  const seconds = (position * tokens) / Math.max(position, chunks) / rate;
  return seconds <= FORESEEN_SECONDS ? seconds : null;
}
