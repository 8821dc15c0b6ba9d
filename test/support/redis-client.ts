/** What a test asks Redis itself. */
import type { RedisClient, RedisTarget } from '@shoal/queue';
import { Cluster, Redis } from 'ioredis';

/** A connection of the test's own. */
export function openClient({ redisUrl, redisCa, redisCluster }: RedisTarget): RedisClient {
  const options = { maxRetriesPerRequest: null, ...(redisCa !== undefined && { tls: { ca: redisCa } }) };
  const redis = redisCluster ? new Cluster([redisUrl], { redisOptions: options }) : new Redis(redisUrl, options);
  redis.on('error', () => undefined);
  return redis;
}

/** Every key that begins with the tag, without it. */
export async function keysOf(redis: RedisClient, tag: string): Promise<string[]> {
  const found = new Set<string>();
  for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${tag}:*`, 'COUNT', 1000);
    cursor = next;
    for (const key of keys) found.add(key.slice(tag.length + 1));
  }
  return [...found].sort();
}
