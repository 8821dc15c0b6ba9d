/** `shoal pull` and `shoal import` as processes, against a hub on this machine: stopped, killed, two at once, to the end. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HubServer, serveBytes, startHub } from '@shoal/sources/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { foreignEnvironment, ROOT } from '../support/processes.js';

const WEIGHTS = Buffer.from(Array.from({ length: 2_000_000 }, (_, n) => (n * 7) % 253));
const SHA256 = createHash('sha256').update(WEIGHTS).digest('hex');
const CHECKPOINT = join(ROOT, 'test/fixtures/checkpoints/llama');

let hub: HubServer;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-pull-'));
  const files = { 'config.json': Buffer.from('{}'), 'model.safetensors': WEIGHTS };
  const names = readdirSync(CHECKPOINT).filter((name) => statSync(join(CHECKPOINT, name)).isFile());
  const real = Object.fromEntries(names.map((name) => [name, readFileSync(join(CHECKPOINT, name))]));
  hub = await startHub([
    { repo: 'org/large', files },
    { repo: 'org/Tiny-Llama', files: real },
    { repo: 'org/split', files: { 'a-00001-of-00002.gguf': WEIGHTS, 'a-00002-of-00002.gguf': WEIGHTS } },
    { repo: 'org/encoder', files: { 'config.json': Buffer.from('{"architectures":["X"]}'), 'model.onnx': WEIGHTS } },
  ]);
});
afterEach(async () => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

function shoal(...args: string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/bin/shoal.mjs'), ...args], {
    env: { ...foreignEnvironment(), HF_ENDPOINT: hub.url, HF_TOKEN: '', SHOAL_DATA_DIR: join(folder, 'data') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.err += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({
    ...printed,
    code: (signal ?? code) as string | number,
  }));
  return { child, ended };
}

/** Sends the first half of the weights and then nothing; resolves when that half is on the disk. */
function stall(): Promise<void> {
  return new Promise((resolve) => {
    hub.intercept = (request, response) => {
      if (!request.url?.startsWith('/blobs/') || request.headers.range !== undefined) return false;
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, WEIGHTS.length / 2));
      void untilThere(response).then(resolve);
      return true;
    };
  });
}

async function untilThere(response: ServerResponse): Promise<void> {
  const part = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.part'));
  await expect
    .poll(() => {
      const path = part();
      return path === undefined || response.destroyed ? 0 : statSync(join(folder, path)).size;
    })
    .toBe(WEIGHTS.length / 2);
}

const rangesOf = () => hub.asked.filter(({ path }) => path.startsWith('/blobs/')).map(({ headers }) => headers.range);
const pullArgs = () => ['pull', 'hf:org/large', '--to', join(folder, 'large')];
const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('a pull that ends halfway', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', 'SIGKILL'],
  ] as const)('by %s leaves no folder, and the next one goes on where it was', async (signal, code) => {
    const halfway = stall();
    const first = shoal(...pullArgs());
    await halfway;
    first.child.kill(signal);
    const outcome = await first.ended;
    expect(outcome.code).toBe(code);
    if (signal !== 'SIGKILL') {
      expect(outcome.err).toBe('shoal: stopped; what has come is kept, and the same command goes on with it.\n');
    }
    expect(existsSync(join(folder, 'large'))).toBe(false);
    const second = await shoal(...pullArgs()).ended;
    expect(second).toMatchObject({ code: 0, err: '' });
    expect(rangesOf()).toEqual([undefined, `bytes=${WEIGHTS.length / 2}-`]);
    expect(hashOf(join(folder, 'large/model.safetensors'))).toBe(SHA256);
    expect(readdirSync(folder)).toEqual(['large']);
  });
});

test('a pull from a server that tells no versions says that it will begin anew, and does', async () => {
  hub.intercept = (request, response) => {
    if (request.url !== '/large.gguf') return false;
    if (request.headers.range !== undefined) serveBytes(request, response, { bytes: WEIGHTS });
    else response.writeHead(200, { 'content-length': WEIGHTS.length }).write(WEIGHTS.subarray(0, WEIGHTS.length / 2));
    return true;
  };
  const first = shoal('pull', `${hub.url}/large.gguf`);
  const parts = () =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.part'));
  await expect.poll(parts).toHaveLength(1);
  first.child.kill('SIGINT');
  expect((await first.ended).err).toBe(
    'shoal: stopped; the same command begins anew: the source tells nothing by which it could go on with what has come.\n',
  );
  expect(parts()).toEqual([]);
});

test('of two at once one goes on and the other is told', async () => {
  const halfway = stall();
  const first = shoal(...pullArgs());
  await halfway;
  const second = await shoal(...pullArgs()).ended;
  expect(second).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^shoal: .* is being pulled by another process: wait for its end\.\n$/),
  });
  first.child.kill('SIGKILL');
  await first.ended;
});

test('what is wrong is one line, and the token is in none', async () => {
  hub.intercept = (request, response) => {
    if (!request.url?.startsWith('/blobs/')) return false;
    serveBytes(request, response, { bytes: Buffer.alloc(WEIGHTS.length) });
    return true;
  };
  const outcome = await shoal(...pullArgs()).ended;
  expect(outcome.code).toBe(1);
  expect(outcome.err).toMatch(
    /^shoal: hf:org\/large\/model\.safetensors is not what was announced: its SHA-256 is [0-9a-f]{64}, and not [0-9a-f]{64}\.\n$/,
  );
  expect(outcome.out).toMatch(/^Pulling hf:org\/large@[0-9a-f]{40}: 2 files, 2\.0 MB\n$/);
});

test('import of a model of the hub pulls it, makes the model, notes where it came from, and keeps no copy', async () => {
  const models = join(folder, 'models');
  const outcome = await shoal('import', 'hf:org/Tiny-Llama', '--to', models).ended;
  expect(outcome).toMatchObject({ code: 0, err: '' });
  expect(outcome.out).toMatch(
    /^Pulling hf:org\/Tiny-Llama@.*\nFound LlamaForCausalLM[\s\S]*\nDone: (.*models\/tiny-llama\/1)\nTry it: npx shoal run "\1"\n$/,
  );
  const source: unknown = JSON.parse(readFileSync(join(models, 'tiny-llama/1/source.json'), 'utf8'));
  expect(source).toMatchObject({ folder: 'Tiny-Llama', origin: `hf:org/Tiny-Llama@${hub.commitOf('org/Tiny-Llama')}` });
  expect(readdirSync(join(folder, 'data/pulled'))).toEqual([]);
});

test.each([
  ['hf:org/split', /^shoal: the file is one of 2 that a model was split into/],
  ['hf:org/encoder', /^shoal: there is no ONNX file in int8, only in fp32/],
])('import of %s, which is of no use, is refused before it is pulled', async (source, message) => {
  const outcome = await shoal('import', source, '--to', join(folder, 'models'), '--dtype', 'int8').ended;
  expect(outcome).toMatchObject({ code: 1, err: expect.stringMatching(message) });
  expect([outcome.out, rangesOf(), existsSync(join(folder, 'data/pulled'))]).toEqual(['', [], false]);
});

test('import of a model that was pulled before leaves that', async () => {
  await shoal('pull', 'hf:org/Tiny-Llama').ended;
  hub.asked.length = 0;
  const outcome = await shoal('import', 'hf:org/Tiny-Llama', '--to', join(folder, 'models'), '--dtype', 'int8').ended;
  expect(outcome.code).toBe(0);
  expect(outcome.out).toMatch(/\nWhat was pulled before stays in .*\/Tiny-Llama\n$/);
  expect(rangesOf()).toEqual([]);
});

test('an ONNX file is imported by its URL, and as the pull of it says', async () => {
  const bytes = readFileSync(join(ROOT, 'test/fixtures/exports/keras-conv.onnx'));
  hub.intercept = (request, response) => {
    if (request.url !== '/keras-conv.onnx') return false;
    serveBytes(request, response, { bytes, etag: '"one"' });
    return true;
  };
  const [url, models] = [`${hub.url}/keras-conv.onnx`, join(folder, 'models')];
  const imported = await shoal('import', url, '--name', 'webk', '--to', models).ended;
  expect(imported).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/\nDone: .*models\/webk\/1\n/) });
  const { out } = await shoal('pull', url).ended;
  const [, said = ''] = /\nA model of it: npx shoal import (".*")\n$/.exec(out) ?? [];
  const again = await shoal('import', JSON.parse(said) as string, '--to', models).ended;
  expect(again).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/\nDone: .*models\/keras-conv\/1\n/) });
});
