/** A lease: of several processes, one at a time does what there should be one for. */
import type { RedisClient } from './redis.js';
import { script } from './scripts.js';

const leaseScript = script<0 | 1>('lease.lua');

/** True where `token` has the lease `key` for the next `ms`: nobody had it, or it had it before. */
export async function lease(redis: RedisClient, key: string, token: string, ms: number): Promise<boolean> {
  return (await leaseScript(redis, key, [token, ms])) === 1;
}
