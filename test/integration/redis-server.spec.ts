/** The private Redis server that `npm start` and the tests run on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@shoal/tools/redis';
import { pingRedis } from '@shoal/tools/redis-ping';
import { Redis } from 'ioredis';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { hasEnded } from '../support/processes.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shoal-redis-server-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
});

async function start(options: Partial<Parameters<typeof startRedis>[0]> = {}) {
  const server = await startRedis({ dir, ...options });
  onTestFinished(() => server.stop());
  return server;
}

/** A client that ends with the test, before its server does. */
function connect(url: string): Redis {
  const redis = new Redis(url);
  onTestFinished(() => redis.disconnect());
  return redis;
}

test('keeps its data over a restart where it is asked to', async () => {
  const first = await start({ persist: true });
  const client = connect(first.url);
  await client.set('job', 'kept');
  client.disconnect();
  await first.stop();
  const second = await start({ persist: true });
  expect(await connect(second.url).get('job')).toBe('kept');
});

test('listens on the loopback interface only, never evicts, and takes settings', async () => {
  const { url } = await start({ settings: { maxmemory: '50mb' } });
  const client = connect(url);
  const setting = (name: string) => client.config('GET', name);
  expect(await setting('bind')).toEqual(['bind', '127.0.0.1']);
  expect(await setting('maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  expect(await setting('maxmemory')).toEqual(['maxmemory', String(50 * 1024 * 1024)]);
});

test('a second server on the same directory is refused', async () => {
  await start({ persist: true });
  await expect(startRedis({ dir, persist: true })).rejects.toThrow(`another Shoal is running on ${dir}`);
});

test('a port that is taken and a setting that is unknown are one line each', async () => {
  const { port } = await start();
  await expect(startRedis({ dir: join(dir, 'b'), port })).rejects.toThrow(`port ${port} for Redis is taken.`);
  await expect(startRedis({ dir: join(dir, 'c'), settings: { maxmemry: '1' } })).rejects.toThrow(
    /^Redis did not start in/,
  );
});

test('ends with its owner, even when the owner is killed', async () => {
  const script = `
    const { startRedis } = await import('@shoal/tools/redis');
    const { pid } = await startRedis({ dir: ${JSON.stringify(dir)} });
    console.log(pid);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pid] = await once(owner.stdout, 'data');
  owner.kill('SIGKILL');
  await expect.poll(() => hasEnded(Number(pid))).toBe(true);
});

describe('pingRedis', () => {
  test('logs in with the user and password of the URL', async () => {
    const { url } = await start();
    await connect(url).config('SET', 'requirepass', 'p@ss');
    await pingRedis(url.replace('//', '//:p%40ss@'));
    await expect(pingRedis(url.replace('//', '//:wrong@'))).rejects.toThrow(/refuses: WRONGPASS/);
    await expect(pingRedis(url)).rejects.toThrow(/refuses: NOAUTH/);
  });

  test('says who does not answer, without the password', async () => {
    const ping = pingRedis('redis://:canary@127.0.0.1:1');
    await expect(ping).rejects.toThrow('Redis at redis://127.0.0.1:1 does not answer (ECONNREFUSED).');
  });
});
