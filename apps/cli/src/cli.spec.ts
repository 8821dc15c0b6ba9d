import { STARTED } from '@shoal/tools/setup';
import { describe, expect, test } from 'vitest';
import { banner } from './banner.js';
import { loadConfig } from './config.js';
import { addressOf, commandsOf } from './processes.js';

test('how to reach Redis is refused where the private one is started', () => {
  expect(() => loadConfig({ SHOAL_REDIS_CLUSTER: 'true' })).toThrow(
    /^REDIS_URL: must be set where .*SHOAL_REDIS_CLUSTER/,
  );
});

describe('the environment of what is started', () => {
  const env = { SHOAL_MODELS_DIR: '/m', SHOAL_DATA_DIR: '/d', REDIS_URL: 'redis://mine', SHOAL_RESULT_TTL: '1h' };

  test('is the caller’s, with the Redis, the port and the folders that start settled on', () => {
    const [api, webhooks, worker] = commandsOf(loadConfig({ ...env, PORT: '9000' }), 'redis://127.0.0.1:7000', 1);
    const shared = { REDIS_URL: 'redis://127.0.0.1:7000', SHOAL_MODELS_DIR: '/m', SHOAL_CACHE_DIR: '/d/cache' };
    expect(api?.env).toMatchObject({ ...shared, PORT: '9000', SHOAL_RESULT_TTL: '1h' });
    for (const { env: own } of [webhooks!, worker!]) {
      expect(own).toMatchObject({ ...shared, SHOAL_METRICS_PORT: '0', SHOAL_RESULT_TTL: '1h' });
    }
  });

  test('does not name a file for a variable that is set', () => {
    const [api] = commandsOf(loadConfig({ ...env, PORT_FILE: undefined }), 'redis://127.0.0.1:7000', 1);
    expect(api?.env).toHaveProperty('REDIS_URL_FILE', undefined);
  });

  test('workers have names of their own where there are several', () => {
    const names = commandsOf(loadConfig(env), 'redis://127.0.0.1:7000', 2).map(({ name }) => name);
    expect(names).toEqual(['api', 'webhooks', 'worker 1', 'worker 2']);
  });

  test('has the key that seals secrets for the API and webhooks, not for workers', () => {
    const made = commandsOf(loadConfig(env), 'redis://127.0.0.1:7000', 1, '/d/secret-key');
    expect(made.map((command) => command.env.SHOAL_SECRET_KEY_FILE)).toEqual([
      '/d/secret-key',
      '/d/secret-key',
      undefined,
    ]);
    const given = commandsOf(loadConfig({ ...env, SHOAL_SECRET_KEY: 'canary' }), 'redis://127.0.0.1:7000', 1);
    expect(given.map((command) => command.env.SHOAL_SECRET_KEY)).toEqual(['canary', 'canary', undefined]);
  });

  test('port 0 is refused: the banner has to name the port', () => {
    expect(() => loadConfig({ PORT: '0' })).toThrow('PORT: must be a whole number from 1 to 65535');
  });
});

test('an API that listens on every interface is reached over the loopback one', () => {
  expect(addressOf({ SHOAL_HOST: '0.0.0.0', PORT: 80 })).toBe('http://127.0.0.1:80');
  expect(addressOf({ SHOAL_HOST: '::1', PORT: 80 })).toBe('http://[::1]:80');
});

describe('the banner', () => {
  test('lists the models where the bundled one is not there', () => {
    expect(banner(loadConfig({ SHOAL_MODELS_DIR: '/nowhere' }))).toContain(`curl -s 'http://127.0.0.1:8080/v1/models'`);
  });

  test('asks for a key where one is needed, and shows none', () => {
    const text = banner(loadConfig({ SHOAL_MODELS_DIR: '/nowhere', SHOAL_API_KEYS: 'acme:canary' }));
    expect(text).toContain('authorization: Bearer');
    expect(text).not.toContain('canary');
  });
});

test('a fresh clone builds every process that it starts', () => {
  const commands = commandsOf(loadConfig({}), 'redis://127.0.0.1:7000', 2);
  const apps = commands.map(({ script }) => /(apps\/\w+)\/dist\/\w+\.c?js$/.exec(script)![1]!);
  expect(new Set([...apps, 'apps/cli'])).toEqual(new Set(STARTED));
});
