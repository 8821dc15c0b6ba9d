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
  expect(read({})).toEqual({ redisUrl: 'redis://127.0.0.1:6379', redisCa: undefined, redisCluster: false });
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
  const plain = { REDIS_URL: 'redis://host', SHOAL_REDIS_CA: 'certificates', SHOAL_REDIS_CLUSTER: false };
  expect(() => redisSettings(plain)).toThrow(/^SHOAL_REDIS_CA: needs a REDIS_URL that starts with rediss:/);
  const cluster = { SHOAL_REDIS_CLUSTER: 'true' };
  expect(read({ ...cluster, REDIS_URL: 'redis://host/0' }).redisCluster).toBe(true);
  expect(() => read({ ...cluster, REDIS_URL: 'redis://host/1' })).toThrow(/^REDIS_URL: must not name a database/);
});
