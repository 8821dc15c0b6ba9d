/**
 * `shoal optimize --teacher`: what students learn from comes through the queue of an API, as any caller's jobs do. It is what the model
 * answers here, it is asked for once, an API that goes away is waited for, and what cannot be is told in one line.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as ask, createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobSummary } from '@shoal/contracts';
import { freePort } from '@shoal/tools/ports';
import { expect, onTestFinished, test } from 'vitest';
import { readMetric } from '../support/fleet.js';
import { addVariants } from '../support/measured-variants.js';
import { startOwnRedis } from '../support/own-redis.js';
import { foreignEnvironment, ROOT, type Running, startApp, startWorker } from '../support/processes.js';

const MODEL = 'wordnet-topic';
const KEY = 'teacher-key';
const EXAMPLES = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');
/** Texts to learn from and those to choose by are a page each; then every token by itself. */
const PAGES = 2 + Math.ceil(vocabularyOf(MODEL) / 1000);

function vocabularyOf(model: string): number {
  const config: unknown = JSON.parse(readFileSync(join(ROOT, 'models', model, '1/config.json'), 'utf8'));
  return (config as { readonly vocab_size: number }).vocab_size;
}

interface Setup {
  readonly folder: string;
  readonly url: string;
  startApi(): Promise<Running>;
  startWorker(): Promise<Running>;
  /** `shoal optimize` of the model in `models`, whose journal and answers are in `data` of the folder. */
  optimize(data: string, options?: Options): Optimizing;
}

interface Options {
  /** Folder of models; left out: that of the API. */
  readonly models?: string;
  readonly key?: string;
  /** Where it is asked; null: the model here answers; left out: the API does. */
  readonly teacher?: string | null;
}

interface Optimizing {
  readonly ended: Promise<Ended>;
  /** All that it has printed so far. */
  text(): string;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
}

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

async function setUp(): Promise<Setup> {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-teacher-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const models = join(folder, 'models');
  cpSync(join(ROOT, 'models', MODEL), join(models, MODEL), { recursive: true });
  const [redisUrl, port] = [await startOwnRedis(), await freePort()];
  const env = { SHOAL_MODELS_DIR: models, SHOAL_CACHE_DIR: join(folder, 'cache'), SHOAL_INTRA_OP_THREADS: '1' };
  const url = `http://127.0.0.1:${port}`;
  const kept = async (running: Promise<Running>) => {
    const process = await running;
    onTestFinished(async () => void (await process.stop()));
    return process;
  };
  const optimize = (data: string, { models: own = models, key = KEY, teacher = url }: Options = {}) => {
    const args = ['apps/cli/bin/shoal.mjs', 'optimize', MODEL, '--data', EXAMPLES, '--methods', 'static-head'];
    const all = [...args, '--max-loss', '90%', ...(teacher === null ? [] : ['--teacher', teacher])];
    const variables = { SHOAL_MODELS_DIR: own, SHOAL_DATA_DIR: join(folder, data), SHOAL_TEACHER_KEY: key };
    const child = spawn(process.execPath, all, { cwd: ROOT, env: { ...foreignEnvironment(), ...variables } });
    onTestFinished(() => void child.kill('SIGKILL'));
    let text = '';
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
    }
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text }));
    const kill = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    return { ended, kill, text: () => text };
  };
  return {
    ...{ folder, url, optimize },
    startApi: () =>
      kept(
        startApp('apps/api/dist/main.js', 'api.ready', {
          redisUrl,
          env: { ...env, PORT: String(port), SHOAL_API_KEYS: `team:${KEY}` },
        }),
      ),
    startWorker: () => kept(startWorker({ redisUrl, env })),
  };
}

interface Gate {
  readonly url: string;
  /** From now on everything passes, and what was held is hung up on. */
  open(): void;
}

/** Stands before an API, and lets so many jobs pass; others are held until it opens. */
async function gateBefore(api: string, jobs: number): Promise<Gate> {
  const held: ServerResponse[] = [];
  let [isOpen, passed] = [false, 0];
  const server = createServer((request, response) => {
    if (!isOpen && request.method === 'POST' && ++passed > jobs) {
      held.push(response);
      return;
    }
    const { method, headers } = request;
    const onward = ask(`${api}${request.url}`, { method, headers }, (reply) => {
      response.writeHead(reply.statusCode!, reply.headers);
      reply.pipe(response).once('error', () => undefined);
      reply.once('error', () => response.destroy());
    });
    onward.once('error', () => response.destroy());
    request.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const open = () => {
    isOpen = true;
    for (const response of held) response.destroy();
  };
  return { open, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Pages by their keys. */
function pagesIn(folder: string, data: string): ReadonlyMap<string, Float32Array> {
  const answers = join(folder, data, `optimize/${MODEL}@1/answers`);
  if (!existsSync(answers)) return new Map();
  const pages = readdirSync(answers, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.answers'));
  return new Map(pages.map((name) => [name, floatsIn(readFileSync(join(answers, name)))]));
}

/** Behind header and counts, before the hash. */
function floatsIn(bytes: Buffer): Float32Array {
  const rows = 24 + 4 * bytes.readUInt32LE(12);
  return new Float32Array(new Uint8Array(bytes.subarray(rows, bytes.length - 32)).buffer);
}

async function jobsOf(url: string): Promise<readonly JobSummary[]> {
  const reply = await fetch(`${url}/v1/jobs`, { headers: { authorization: `Bearer ${KEY}` } });
  return ((await reply.json()) as { readonly data: readonly JobSummary[] }).data;
}

test('its answers are those of the model here, no job is left, and a second run does without it', async () => {
  const { folder, url, optimize, startApi, startWorker } = await setUp();
  const own = optimize('own', { teacher: null });
  const [api] = await Promise.all([startApi(), startWorker()]);
  const taught = optimize('taught');
  await expect.poll(() => pagesIn(folder, 'taught').size).toBe(PAGES);
  await expect.poll(() => jobsOf(url)).toEqual([]);
  // Whatever it was at: what has come is on the disk.
  await taught.kill();
  const pages = pagesIn(folder, 'taught');
  expect(await readMetric(api.metricsUrl, 'shoal_requests_total')).toBe(PAGES);

  await expect.poll(() => pagesIn(folder, 'own').size).toBe(PAGES);
  await own.kill();
  for (const [key, values] of pagesIn(folder, 'own')) {
    const theirs = pages.get(key)!;
    expect(theirs).toHaveLength(values.length);
    expect(values.reduce((most, value, n) => Math.max(most, Math.abs(value - theirs[n]!)), 0)).toBeLessThan(1e-4);
  }

  api.kill('SIGKILL');
  await api.exited;
  const { code, text } = await optimize('taught').ended;
  expect([code, text]).toEqual([0, expect.stringContaining('texts answered by the teacher')]);
  expect(text).not.toContain('does not answer');
});

test('an API that is killed amid it and comes back is waited for, and asked for what is missing', async () => {
  const { folder, url, optimize, startApi, startWorker } = await setUp();
  const [api] = await Promise.all([startApi(), startWorker()]);
  const gate = await gateBefore(url, 2);
  const run = optimize('data', { teacher: gate.url });
  await expect.poll(() => pagesIn(folder, 'data').size).toBe(2);
  api.kill('SIGKILL');
  await api.exited;
  gate.open();
  const known = pagesIn(folder, 'data').size;
  expect([known, PAGES > known]).toEqual([2, true]);
  await expect.poll(run.text).toMatch(/does not answer: .*\. It is asked again for 3 min\./);
  const second = await startApi();
  await expect.poll(() => pagesIn(folder, 'data').size).toBe(PAGES);
  expect(await readMetric(second.metricsUrl, 'shoal_request_success_total')).toBeLessThanOrEqual(PAGES - known);
  await run.kill();
});

test('a job that does not end well is told in one line with what is wrong; the next run asks anew', async () => {
  const { folder, url, optimize, startApi, startWorker } = await setUp();
  await startApi();
  const { ended } = optimize('data');
  await expect.poll(async () => (await jobsOf(url)).length).toBeGreaterThan(0);
  const [{ id }] = (await jobsOf(url)) as readonly [JobSummary];
  const headers = { authorization: `Bearer ${KEY}` };
  expect((await fetch(`${url}/v1/jobs/${id}/cancel`, { method: 'POST', headers })).status).toBe(200);
  const { code, text } = await ended;
  expect(code).toBe(1);
  expect(text).toMatch(
    new RegExp(`^shoal: ${url} has not answered \\d+ texts: .*cancelled.* \\(job ${id}\\)\\.$`, 'm'),
  );
  expect(readFileSync(join(folder, `data/optimize/${MODEL}@1/journal.jsonl`), 'utf8')).toBe('');
  await startWorker();
  const again = optimize('data');
  await expect.poll(() => pagesIn(folder, 'data').size).toBeGreaterThan(0);
  await again.kill();
});

test('what cannot be is told in one line, before anything is noted', async () => {
  const { folder, url, optimize, startApi, startWorker } = await setUp();
  const told = async (options: Options) => {
    const { code, text } = await optimize('data', options).ended;
    const runs = join(folder, 'data/optimize');
    const noted = readdirSync(runs).map((run) => readFileSync(join(runs, run, 'journal.jsonl'), 'utf8'));
    expect([code, noted.join('')], text).toEqual([1, '']);
    return text.trimEnd().split('\n').at(-1);
  };
  expect(await told({})).toMatch(new RegExp(`^shoal: ${url} does not answer: .*ECONNREFUSED`));
  await Promise.all([startApi(), startWorker()]);
  expect(await told({ key: 'another' })).toBe(
    `shoal: ${url} wants a key: set SHOAL_TEACHER_KEY to one of its SHOAL_API_KEYS (This API key is not known).`,
  );
  const newer = join(folder, 'newer');
  cpSync(join(ROOT, 'models', MODEL, '1'), join(newer, MODEL, '2'), { recursive: true });
  expect(await told({ models: newer })).toBe(
    `shoal: ${url} does not serve ${MODEL}@2:fp32: Of this model there are ${MODEL}@1:fp32.`,
  );

  // The same name, and another graph: only its answers can tell.
  const other = join(folder, 'other');
  cpSync(join(ROOT, 'models', MODEL), join(other, MODEL), { recursive: true });
  const onnx = join(other, MODEL, '1/onnx');
  await addVariants(join(other, MODEL, '1'));
  cpSync(join(onnx, 'model_int8.onnx'), join(onnx, 'model.onnx'));
  for (const file of ['onnx/model_int8.onnx', 'onnx/model_layers2.onnx', 'quality.json']) {
    rmSync(join(other, MODEL, '1', file));
  }
  const { code, text } = await optimize('foreign', { models: other }).ended;
  expect(code).toBe(1);
  expect(text).toMatch(
    new RegExp(`^shoal: ${url} serves another ${MODEL}@1:fp32 than .*/other/${MODEL}/1 has: .* apart`, 'm'),
  );
  expect(pagesIn(folder, 'foreign').size).toBe(0);
});
