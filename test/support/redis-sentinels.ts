/** Three Sentinels of one test's own, on loopback, over a primary and what replicates it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@shoal/tools/ports';
import { ensureRedisServer } from '@shoal/tools/redis-install';
import { pingRedis } from '@shoal/tools/redis-ping';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';

const QUORUM = 2;

export interface Sentinels {
  /** For SHOAL_REDIS_SENTINELS. */
  readonly urls: readonly string[];
  /** Who the primary is by their word, as `host:port`. */
  primary(): Promise<string>;
}

/** Resolves when they know of each other and of the replicas. `password`: of the Sentinels themselves. */
export async function startSentinels(
  name: string,
  primaryUrl: string,
  { replicas, password }: { readonly replicas: number; readonly password?: string },
): Promise<Sentinels> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const login = password === undefined ? '' : `:${password}@`;
  const urls = ports.map((port) => `redis://${login}127.0.0.1:${port}`);
  for (const [n, port] of ports.entries()) await startSentinel(name, primaryUrl, port, urls[n]!, password);
  const client = new Redis(urls[0]!, { enableReadyCheck: false, maxRetriesPerRequest: null });
  onTestFinished(() => client.disconnect());
  const known = async () => {
    const fields = (await client.call('SENTINEL', 'MASTER', name)) as string[] | Record<string, string>;
    const read = (field: string) => Number(Array.isArray(fields) ? fields[fields.indexOf(field) + 1] : fields[field]);
    return [read('num-other-sentinels'), read('num-slaves')];
  };
  await expect.poll(known).toEqual([ports.length - 1, replicas]);
  return {
    urls,
    async primary() {
      const [host, port] = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)) as string[];
      return `${host}:${port}`;
    },
  };
}

async function startSentinel(name: string, primaryUrl: string, port: number, url: string, password?: string) {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-sentinel-'));
  const { hostname, port: primaryPort } = new URL(primaryUrl);
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${name} ${hostname} ${primaryPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${name} 1500`,
    `sentinel failover-timeout ${name} 10000`,
    ...(password === undefined ? [] : [`requirepass ${password}`, `sentinel sentinel-pass ${password}`]),
  ];
  const file = join(dir, 'sentinel.conf');
  writeFileSync(file, `${settings.join('\n')}\n`);
  const child = spawn(
    ensureRedisServer(() => undefined),
    [file, '--sentinel'],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true });
  });
  await expect.poll(() => pingRedis(url, { ms: 1000 }).then(() => 'PONG', String)).toBe('PONG');
}
