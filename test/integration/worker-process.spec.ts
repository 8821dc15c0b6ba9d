/** The worker as a process: its threads, and models that do not load. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadModel, serialiseModel } from '@shoal/onnx';
import { expect, inject, onTestFinished, test } from 'vitest';
import { foreignEnvironment, ROOT, type Running, startApp, startWorker } from '../support/processes.js';

const redisUrl = inject('redisUrl');
const { UV_THREADPOOL_SIZE: _, ...environment } = foreignEnvironment();

/** A folder of models with a name that no other test's queues have, and one that ONNX Runtime is too old for. */
function modelsWith(...which: readonly ('good' | 'bad')[]): { readonly dir: string; readonly good: string } {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-models-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const good = `topic-${process.pid}-${Math.floor(performance.now())}`;
  if (which.includes('good')) cpSync(join(ROOT, 'models/wordnet-topic'), join(dir, good), { recursive: true });
  if (which.includes('bad')) {
    const model = loadModel(join(ROOT, 'test/fixtures/exports/keras-conv.onnx'));
    model.opsets.set('', 999);
    mkdirSync(join(dir, 'from-tomorrow'));
    writeFileSync(join(dir, 'from-tomorrow/model.onnx'), serialiseModel(model));
  }
  return { dir, good };
}

async function start(dir: string, env: Record<string, string> = {}): Promise<Running> {
  const worker = await startWorker({
    redisUrl,
    env: { SHOAL_MODELS_DIR: dir, SHOAL_CACHE_DIR: join(dir, '../cache'), ...env },
  });
  onTestFinished(async () => void (await worker.stop()));
  return worker;
}

const runsOf = (worker: Running) =>
  (
    JSON.parse(
      worker
        .output()
        .split('\n')
        .find((line) => line.includes('"runtime.ready"'))!,
    ) as { runs: number }
  ).runs;

test('eight passes run at once, and files and names are answered meanwhile', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['test/support/eight-passes.mjs'], {
    cwd: ROOT,
    env: { ...environment, UV_THREADPOOL_SIZE: '12' },
  });
  expect(JSON.parse(stdout)).toEqual({ file: 0, name: 0, ended: 8 });
});

test('a worker has threads for the passes that it is to run at once', async () => {
  const { dir } = modelsWith('good');
  const worker = await start(dir, { SHOAL_CONCURRENT_RUNS: '8' });
  expect(runsOf(worker)).toBe(8);
  expect(worker.output()).not.toContain('runtime.runs_limited');
});

test('a worker with fewer threads runs fewer passes at once, and says so', async () => {
  const { dir } = modelsWith('good');
  const worker = await start(dir, { SHOAL_CONCURRENT_RUNS: '8', UV_THREADPOOL_SIZE: '4' });
  expect(runsOf(worker)).toBe(3);
  expect(worker.output()).toContain('"event":"runtime.runs_limited","runs":3,"wanted":8');
});

test('a model that does not load hides no other, and is named in log, metrics and readiness', async () => {
  const { dir, good } = modelsWith('good', 'bad');
  const worker = await start(dir);
  expect(worker.ready.models).toEqual([`${good}/1/fp32`]);
  expect(worker.output()).toContain('"event":"model.load_failed","model":"from-tomorrow/1/fp32"');
  const { host } = new URL(worker.metricsUrl);
  const [readiness, metrics] = await Promise.all([
    fetch(`http://${host}/readyz`).then((response) => response.text()),
    fetch(worker.metricsUrl).then((response) => response.text()),
  ]);
  expect(readiness).toBe('ready\nfrom-tomorrow/1/fp32 is not served: it does not load\n');
  expect(metrics).toMatch(/^shoal_model_load_failed\{model="from-tomorrow",version="1",variant="fp32"\} 1$/m);
});

test('a worker none of whose models loads ends with the reason', async () => {
  const { dir } = modelsWith('bad');
  await expect(
    startApp('apps/worker/dist/start.cjs', 'worker.ready', { redisUrl, env: { SHOAL_MODELS_DIR: dir } }),
  ).rejects.toThrow(/exit code 1.*opset/is);
});

test('models that generate texts have room beside each other, whatever the process has beside them', async () => {
  const { dir, good } = modelsWith();
  const names = ['a', 'b'].map((name) => `${good}-${name}`);
  for (const name of names) cpSync(join(ROOT, 'models/wordnet-lm'), join(dir, name), { recursive: true });
  const worker = await start(dir, { SHOAL_MODEL_MEMORY: String(240 * 2 ** 20) });
  expect(worker.ready.models).toEqual(names.map((name) => `${name}/1/int8`));
});
