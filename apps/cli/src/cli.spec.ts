import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STARTED } from '@shoal/tools/setup';
import { describe, expect, onTestFinished, test } from 'vitest';
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
    expect(api?.env).toMatchObject({ ...shared, PORT: '9000', SHOAL_RESULT_TTL: '1h', SHOAL_STORE: 'file:///d/files' });
    for (const { env: own } of [webhooks!, worker!]) {
      expect(own).toMatchObject({ ...shared, SHOAL_METRICS_PORT: '0', SHOAL_RESULT_TTL: '1h' });
    }
  });

  test('has a metrics port for each process, any free one where none was chosen', () => {
    const ports = (chosen?: readonly number[]) =>
      commandsOf(loadConfig(env), 'redis://127.0.0.1:7000', 2, undefined, chosen).map(
        (command) => command.env.SHOAL_METRICS_PORT,
      );
    expect(ports([9464, 9465, 0, 9467])).toEqual(['9464', '9465', '0', '9467']);
    expect(ports()).toEqual(['0', '0', '0', '0']);
  });

  test('is without variables that mean nothing, which are told once', () => {
    const config = loadConfig({ ...env, SHOAL_MODEL_DIR: '/x' });
    expect(config.unknown).toEqual([
      { variable: 'SHOAL_MODEL_DIR', message: expect.stringContaining('SHOAL_MODELS_DIR') },
    ]);
    for (const command of commandsOf(config, 'redis://127.0.0.1:7000', 1)) {
      expect(command.env).not.toHaveProperty('SHOAL_MODEL_DIR');
    }
    expect(() => loadConfig({ ...env, SHOAL_API_KEY: 'canary' })).toThrow(/^SHOAL_API_KEY: .*SHOAL_API_KEYS/);
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
  /** An API with these models, or one that fails; resolves to a config that names it, and collects the keys that it was asked with. */
  async function serve(models: readonly string[] | undefined, env: Record<string, string> = {}) {
    const seen: (string | undefined)[] = [];
    const server = createServer(({ url = '', headers }, response) => {
      seen.push(headers.authorization);
      if (models === undefined) return void response.writeHead(500).end();
      const data = models.map((id) => ({ id }));
      response.end(JSON.stringify(url === '/v1/models' ? { data } : { example: { curl: `curl ${url}` } }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return { seen, config: loadConfig({ PORT: String((server.address() as AddressInfo).port), ...env }) };
  }

  test('has the example of the bundled model, else of the first one', async () => {
    const both = await serve(['all-minilm', 'wordnet-topic']);
    expect(await banner(both.config)).toContain('curl /v1/models/wordnet-topic');
    const imported = await serve(['all-minilm', 'bge-small']);
    expect(await banner(imported.config)).toContain('curl /v1/models/all-minilm');
  });

  test('lists the models where they cannot be asked for', async () => {
    const { config } = await serve(undefined);
    expect(await banner(config)).toContain(`curl -s 'http://127.0.0.1:${config.PORT}/v1/models'`);
  });

  test('says where there is no model, why what lies there is none, and how one is added', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-banner-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'empty/1'), { recursive: true });
    const { config } = await serve([], { SHOAL_MODELS_DIR: folder });
    const text = await banner(config);
    expect(text).toMatch(/^Not served, until it is mended:\n\n {2}empty\/1: .*ONNX/m);
    expect(text).toContain(`There is no model in ${folder} to serve yet.`);
    expect(text).toMatch(/^A model, while everything runs/m);
    expect(text).not.toContain('curl');
  });

  test('asks with the first key, and shows none', async () => {
    const { seen, config } = await serve(undefined, { SHOAL_API_KEYS: '# all keys\nacme:canary:2,zeta:other' });
    const text = await banner(config);
    expect(seen).toEqual(['Bearer canary']);
    expect(text).toContain('authorization: Bearer <your key>');
    expect(text).not.toContain('canary');
  });
});

test('a fresh clone builds every process that it starts', () => {
  const commands = commandsOf(loadConfig({}), 'redis://127.0.0.1:7000', 2);
  const apps = commands.map(({ script }) => /(apps\/\w+)\/dist\/\w+\.c?js$/.exec(script)![1]!);
  expect(new Set([...apps, 'apps/cli'])).toEqual(new Set(STARTED));
});
