/**
 * Before the specs: the Redis at REDIS_URL, else one in a container of the image SHOAL_TEST_REDIS_IMAGE, else a server of their
 * own. Gives its URL as `inject('redisUrl')`.
 */
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
  const { REDIS_URL: url, SHOAL_TEST_REDIS_IMAGE: image } = process.env;
  if (url) {
    provide('redisUrl', url);
    return undefined;
  }
  const server = image ? await startContainer(image) : await startServer();
  provide('redisUrl', server.url);
  return server.stop;
}

async function startServer() {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-test-redis-'));
  const server = await startRedis({ dir });
  return {
    url: server.url,
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true });
    },
  };
}

/** In a network of its own: an engine may have no default one. */
async function startContainer(image: string) {
  const { GenericContainer, Network, Wait } = await import('testcontainers');
  const network = await new Network().start();
  const container = await new GenericContainer(image)
    .withCommand(['redis-server', '--save', '', '--maxmemory-policy', 'noeviction', '--protected-mode', 'no'])
    .withNetwork(network)
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop();
      await network.stop();
    },
  };
}
