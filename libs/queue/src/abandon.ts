/** The end of a queue that nobody will serve again: whoever waits for one of its jobs is told. */
import type { ShoalError } from '@shoal/contracts';
import { pack } from './codec.js';
import { toJobError } from './errors.js';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

const abandonScript = queueScript<number>('abandon.lua');

/** Ends every job of the queue that has not ended as failed, with this error; a page at a time. */
export async function abandonQueue(redis: RedisClient, queue: string, error: ShoalError): Promise<void> {
  const detail = pack(toJobError(error));
  const tenants = Object.keys(await redis.hgetall(`${queueTag(queue)}:outstanding`));
  for (const tenant of tenants) {
    for (let from = 0, looked = 1; looked > 0; from += looked) {
      looked = await abandonScript(redis, queue, [tenant, from, detail]);
    }
  }
}
