/** A replica of a server of a test's own, and a failover to it as an operator orders it. */
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { type LastingRedis, startLastingRedis } from './lasting-redis.js';

export interface RedisReplica extends LastingRedis {
  /** It becomes the primary, and the primary its replica; no write is lost, no connection closed. */
  failover(): Promise<void>;
}

/** Resolves when it has caught up. */
export async function startRedisReplica(primary: LastingRedis): Promise<RedisReplica> {
  const { port: primaryPort } = new URL(primary.url);
  const replica = await startLastingRedis({ replicaof: `127.0.0.1 ${primaryPort}`, 'repl-diskless-sync-delay': '0' });
  const info = async (url: string) => {
    const client = new Redis(url, { protocol: 2 });
    try {
      return await client.info('replication');
    } finally {
      client.disconnect();
    }
  };
  await expect.poll(() => info(replica.url)).toMatch(/master_link_status:up/);
  await expect.poll(() => info(primary.url)).toMatch(/state=online/);
  return {
    ...replica,
    async failover() {
      const client = new Redis(primary.url);
      onTestFinished(() => client.disconnect());
      await client.call('FAILOVER', 'TO', '127.0.0.1', new URL(replica.url).port);
      await expect.poll(() => info(replica.url)).toMatch(/role:master/);
      await expect.poll(() => info(primary.url)).toMatch(/role:slave/);
    },
  };
}
