/** Before the specs: the Redis at REDIS_URL, else a server of their own. Gives its URL as `inject('redisUrl')`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@shoal/tools/redis';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
  }
}

export async function setup({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (process.env.REDIS_URL) {
    provide('redisUrl', process.env.REDIS_URL);
    return undefined;
  }
  const dir = mkdtempSync(join(tmpdir(), 'shoal-test-redis-'));
  const server = await startRedis({ dir });
  provide('redisUrl', server.url);
  return async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  };
}
