/** The end of a queue that nobody will serve again: whoever waits for one of its jobs is told. */
import { MODEL_GONE } from './errors.js';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

const abandonScript = queueScript<number>('abandon.lua');

/** Ends every job of the queue that has not ended as failed, with `model_not_found`; a page at a time. */
export async function abandonQueue(redis: RedisClient, queue: string): Promise<void> {
  const tenants = Object.keys(await redis.hgetall(`${queueTag(queue)}:outstanding`));
  for (const tenant of tenants) {
    for (let from = 0, looked = 1; looked > 0; from += looked) {
      looked = await abandonScript(redis, queue, [tenant, from, MODEL_GONE]);
    }
  }
}
