import { resolve } from 'node:path';
import { STARTED } from '@shoal/tools/setup';
import { describe, expect, test } from 'vitest';
import { parse } from './arguments.js';
import { banner } from './banner.js';
import { loadConfig } from './config.js';
import { addressOf, commandsOf } from './processes.js';

describe('the command line', () => {
  test('start takes a number of workers, 1 where left out', () => {
    expect(parse(['start'])).toEqual({ name: 'start', workers: 1 });
    expect(parse(['start', '--workers', '3'])).toEqual({ name: 'start', workers: 3 });
  });

  test('import takes a folder, and what to make of it', () => {
    const request = { folder: resolve('a/model'), version: 1, dtypes: [], to: undefined, force: false };
    expect(parse(['import', 'a/model'])).toEqual({ name: 'import', request, report: false });
    const args = [
      'import',
      '--name',
      'm',
      '--version=2',
      '--dtype',
      'fp32,int8',
      '--to',
      'b',
      '--force',
      '--report',
      'a/model',
    ];
    const asked = { name: 'm', version: 2, dtypes: ['fp32', 'int8'], to: resolve('b'), force: true };
    expect(parse(args)).toEqual({ name: 'import', request: { ...request, ...asked }, report: true });
  });

  test('fetch-model takes an archive, its hash, a folder and a bound', () => {
    const args = [
      'fetch-model',
      '--url=https://example.com/m.tar.gz?key=a',
      `--sha256=${'AB'.repeat(32)}`,
      '--to=/m/x/1',
    ];
    const request = {
      url: 'https://example.com/m.tar.gz?key=a',
      sha256: 'ab'.repeat(32),
      to: '/m/x/1',
      maxBytes: 2 ** 34,
    };
    expect(parse(args)).toEqual({ name: 'fetch-model', request });
    expect(parse([...args, '--max-size', '512Mi'])).toMatchObject({ request: { maxBytes: 2 ** 29 } });
  });

  test('run takes a model, and a prompt where there is one', () => {
    const request = { model: 'lm', prompt: undefined, maxTokens: 256, variant: undefined };
    expect(parse(['run', 'lm'])).toEqual({ name: 'run', request });
    const all = ['run', './lm', '-p', 'Hello', '--max-tokens=8', '--variant=int4'];
    expect(parse(all)).toMatchObject({ request: { model: './lm', prompt: 'Hello', maxTokens: 8, variant: 'int4' } });
  });

  test('without a command, and with --help anywhere, it is the help', () => {
    expect(parse([])).toEqual({ name: 'help' });
    expect(parse(['help'])).toEqual({ name: 'help' });
    expect(parse(['start', '--help'])).toEqual({ name: 'help' });
    expect(parse(['--version'])).toEqual({ name: 'version' });
  });

  test.each([
    [['stop'], 'unknown command "stop"; see "shoal --help".'],
    [['start', 'now'], 'unknown command "start now"; see "shoal --help".'],
    [['start', '--port', '1'], `Unknown option '--port'; see "shoal --help".`],
    [['start', '--workers', '0'], '--workers takes a number from 1 to 99.'],
    [['start', '--url', 'https://example.com'], `Unknown option '--url'; see "shoal --help".`],
    [['run'], 'run takes one model; see "shoal --help".'],
    [['run', 'a', 'b'], 'run takes one model; see "shoal --help".'],
    [['run', 'a', '--max-tokens=0'], '--max-tokens takes a whole number from 1.'],
    [['import'], 'import takes one folder; see "shoal --help".'],
    [['import', 'a', 'b'], 'import takes one folder; see "shoal --help".'],
    [['import', 'a', '--version', '0'], '--version takes a whole number from 1.'],
    [['import', 'a', '--dtype', 'fp32,'], '--dtype takes fp32, fp16, int8 or int4, or several: fp32,int8.'],
    [['fetch-model'], '--url takes an http:// or https:// URL without user and password.'],
    [['fetch-model', '--url=ftp://a/b'], '--url takes an http:// or https:// URL without user and password.'],
    [
      ['fetch-model', '--url=https://me:secret@a/b'],
      '--url takes an http:// or https:// URL without user and password.',
    ],
    [['fetch-model', '--url=https://a/b', '--sha256=abc'], '--sha256 takes 64 hexadecimal digits.'],
    [
      ['fetch-model', '--url=https://a/b', `--sha256=${'a'.repeat(64)}`],
      '--to takes the folder of the version: models/<name>/<version>.',
    ],
    [
      ['fetch-model', '--url=https://a/b', `--sha256=${'a'.repeat(64)}`, '--to=m', '--max-size=1GB'],
      '--max-size takes bytes, or a size such as 512Mi or 4Gi.',
    ],
  ])('%j is refused in one line', (args, message) => {
    expect(() => parse(args)).toThrow(new Error(message));
  });
});

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
  const apps = commands.map(({ script }) => /(apps\/\w+)\/dist\/main\.js$/.exec(script)![1]!);
  expect(new Set([...apps, 'apps/cli'])).toEqual(new Set(STARTED));
});
