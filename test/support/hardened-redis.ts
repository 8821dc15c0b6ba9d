/** A Redis of one test's own with the files of docker/redis: its settings, and users that may do what they need to. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@shoal/tools/ports';
import { ensureRedisServer } from '@shoal/tools/redis-install';
import { pingRedis } from '@shoal/tools/redis-ping';
import { onTestFinished } from 'vitest';

const FILES = fileURLToPath(new URL('../../docker/redis/', import.meta.url));

const USERS = {
  shoal: 'SHOAL_REDIS_PASSWORD',
  'shoal-worker': 'SHOAL_REDIS_WORKER_PASSWORD',
  'shoal-webhooks': 'SHOAL_REDIS_WEBHOOKS_PASSWORD',
  metrics: 'SHOAL_REDIS_METRICS_PASSWORD',
  admin: 'SHOAL_REDIS_ADMIN_PASSWORD',
} as const;

export type RedisUser = keyof typeof USERS;

/** What Redis reads as its ACL file, where every user has this password. */
export function rulesOf(password: string): string {
  const env = Object.fromEntries(Object.values(USERS).map((variable) => [variable, password]));
  return execFileSync('sh', [join(FILES, 'acl.sh')], { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' });
}

export interface HardenedRedis {
  urlOf(user: RedisUser): string;
  /** SIGKILL, and a new process with the same port and files; resolves when it answers. */
  restart(): Promise<void>;
}

/** The server ends with the test. */
export async function startHardenedRedis(): Promise<HardenedRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-redis-'));
  const password = randomBytes(16).toString('hex');
  const acl = join(dir, 'users.acl');
  writeFileSync(acl, rulesOf(password));
  const port = String(await freePort());
  const changes = ['--port', port, '--bind', '127.0.0.1', '--dir', dir, '--aclfile', acl];
  const program = ensureRedisServer(() => undefined);
  const urlOf = (user: RedisUser) => `redis://${user}:${password}@127.0.0.1:${port}`;
  const start = async () => {
    const server = spawn(program, [join(FILES, 'redis.conf'), ...changes], { stdio: 'ignore' });
    const ended = once(server, 'exit');
    await answers(urlOf('admin'), ended);
    return async () => {
      server.kill('SIGKILL');
      await ended;
    };
  };
  let kill = await start();
  onTestFinished(async () => {
    await kill();
    rmSync(dir, { recursive: true });
  });
  return {
    urlOf,
    async restart() {
      await kill();
      kill = await start();
    },
  };
}

async function answers(url: string, ended: Promise<unknown>): Promise<void> {
  let alive = true;
  ended.then(() => {
    alive = false;
  });
  for (;;) {
    try {
      await pingRedis(url, { ms: 1000 });
      return;
    } catch (error) {
      if (!alive) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
