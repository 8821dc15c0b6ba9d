import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from './read-config.js';
import { redisSettings, redisVariables } from './redis.js';

const schema = z.object(redisVariables);
const read = (env: Record<string, string>) => redisSettings(readConfig(schema, env));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('Redis is on this machine where nothing is said', () => {
  expect(read({})).toEqual({
    redisUrl: 'redis://127.0.0.1:6379',
    redisCa: undefined,
    redisCluster: false,
    redisSentinels: [],
    allowEviction: false,
  });
});

test('a CA that is no file with certificates is refused by name', () => {
  const env = { REDIS_URL: 'rediss://host' };
  const missing = join(folder, 'none');
  expect(() => read({ ...env, SHOAL_REDIS_CA: missing })).toThrow(/^SHOAL_REDIS_CA: .* cannot be read \(ENOENT\)$/);
  const empty = write('empty.pem', 'not a certificate');
  expect(() => read({ ...env, SHOAL_REDIS_CA: empty })).toThrow(/^SHOAL_REDIS_CA: .* this file has none$/);
  const broken = write('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  expect(() => read({ ...env, SHOAL_REDIS_CA: broken })).toThrow(/^SHOAL_REDIS_CA: .* cannot be read/);
});

test('what would have no effect is refused', () => {
  const plain = { ...readConfig(schema, { REDIS_URL: 'redis://host' }), SHOAL_REDIS_CA: 'certificates' };
  expect(() => redisSettings(plain)).toThrow(/^SHOAL_REDIS_CA: needs a REDIS_URL that starts with rediss:/);
  const cluster = { SHOAL_REDIS_CLUSTER: 'true' };
  expect(read({ ...cluster, REDIS_URL: 'redis://host/0' }).redisCluster).toBe(true);
  expect(() => read({ ...cluster, REDIS_URL: 'redis://host/1' })).toThrow(/^REDIS_URL: must not name a database/);
});

test('Sentinels have a port of their own, and what does not fit them is refused by name', () => {
  const env = { REDIS_URL: 'redis://shoal:secret@mymaster/1', SHOAL_REDIS_SENTINELS: 'redis://a, redis://[::1]:5000' };
  expect(read(env).redisSentinels).toEqual(['redis://a:26379', 'redis://[::1]:5000']);
  const refused = (changes: Record<string, string>) => expect(() => read({ ...env, ...changes }));
  refused({ SHOAL_REDIS_SENTINELS: 'a:26379' }).toThrow(/^SHOAL_REDIS_SENTINELS: must be a URL that starts with/);
  refused({ SHOAL_REDIS_SENTINELS: 'redis://a, rediss://b' }).toThrow(/^SHOAL_REDIS_SENTINELS: must all have the same/);
  refused({ SHOAL_REDIS_SENTINELS: 'redis://a/1' }).toThrow(/^SHOAL_REDIS_SENTINELS: must not name a database/);
  refused({ REDIS_URL: 'redis://mymaster:6379' }).toThrow(/^REDIS_URL: must have no port/);
  refused({ REDIS_URL: '' }).toThrow(/^SHOAL_REDIS_SENTINELS: needs a REDIS_URL/);
  refused({ SHOAL_REDIS_CLUSTER: 'true', REDIS_URL: 'redis://m' }).toThrow(
    /^SHOAL_REDIS_SENTINELS: a Cluster has no Sentinels/,
  );
});
