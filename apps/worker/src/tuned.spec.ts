/** What was tuned is what a worker's session is made with, as far as the environment says nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createModelFace,
  keepTuning,
  loadRunner,
  type Model,
  machineOf,
  openRepository,
  type TunedSettings,
} from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { findLimits, hardwareKind } from './limits.js';
import { openSession } from './load-model.js';
import { tunedFor } from './tuned.js';

const MODELS = fileURLToPath(new URL('../../../models', import.meta.url));
const TUNED: TunedSettings = { threads: 2, spinning: true, cpuArena: false, maxBatchTokens: 777, passTokens: 55 };
const MEASURED = '2026-01-02T03:04:05.000Z';

let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  runtime = await openRuntime();
  model = (await openRepository(MODELS)).models.find(({ name }) => name === 'wordnet-topic')!;
});

let cacheDir: string;
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'shoal-tuned-'));
});
afterEach(() => rmSync(cacheDir, { recursive: true }));

async function keep(settings: TunedSettings): Promise<string> {
  const machine = await machineOf(runtime);
  const ratio = Object.keys(settings).length === 0 ? null : { median: 0.8, low: 0.7, high: 0.9 };
  return await keepTuning(model, { settings, ratio, machine: 'this one', measured: MEASURED }, { cacheDir, machine });
}

/** The session that a worker makes, what it was made with, and what the log tells of it. */
async function open(givenThreads?: number) {
  const createSession = vi.fn(runtime.createSession);
  const logger = { info: vi.fn(), warn: vi.fn() };
  const config = { SHOAL_CACHE_DIR: cacheDir, SHOAL_DEVICE: 'cpu', SHOAL_DEVICE_OPTIONS: {}, givenThreads };
  const opened = await openSession(model, { config, runtime: { ...runtime, createSession }, logger });
  return { ...opened, made: createSession.mock.calls[0]![1], logger };
}

/** What it answers. */
async function ask({ session }: Awaited<ReturnType<typeof open>>): Promise<number[]> {
  const face = await createModelFace(model);
  const { items, parameters } = await face.encode({ input: 'a small knob', parameters: { top_k: 3 } });
  const [output] = await loadRunner(model, session).run(items.map((item) => ({ item, parameters })));
  await session.release();
  return [...(output as Extract<typeof output, { readonly kind: 'scores' }>).scores];
}

test('a session that was tuned is made so, answers the same, and is told of in one line', async () => {
  const plain = await open();
  expect(plain.made).toMatchObject({ intraOpThreads: 1, spinning: false, cpuArena: true, config: {} });
  expect(plain.logger.info).not.toHaveBeenCalled();
  await keep(TUNED);
  const tuned = await open();
  const config = { 'session.force_spinning_stop': '1' };
  expect(tuned.made).toMatchObject({ intraOpThreads: 2, spinning: true, cpuArena: false, config });
  const name = 'wordnet-topic/1/fp32';
  expect(tuned.logger.info.mock.calls).toEqual([
    ['model.tuned', { model: name, ...TUNED, time: 0.8, measured: MEASURED }],
  ]);
  const answers = await ask(plain);
  for (const [n, score] of (await ask(tuned)).entries()) expect(score).toBeCloseTo(answers[n]!, 5);
});

test('where the defaults were best, they are taken, and that is told', async () => {
  await keep({});
  const { made, tuned, logger, session } = await open();
  expect(tuned).toEqual({});
  expect(made).toMatchObject({ intraOpThreads: 1, spinning: false });
  expect(logger.info).toHaveBeenCalledWith('model.tuned', expect.objectContaining({ time: 1 }));
  await session.release();
});

test('threads of the environment go before, and limits that were found with others are not taken', async () => {
  await keep(TUNED);
  const other = await open(1);
  expect(other.made).toMatchObject({ intraOpThreads: 1, cpuArena: false });
  expect(other.tuned).toEqual({ threads: 1, spinning: true, cpuArena: false });
  await other.session.release();
  const same = await open(2);
  expect(same.tuned).toEqual(TUNED);
  await same.session.release();
});

test('a file that is torn costs a warning, and no more', async () => {
  writeFileSync(await keep(TUNED), '{"format": 1,');
  const { tuned, logger, session } = await open();
  expect(tuned).toEqual({});
  expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
    'model.tuning_ignored',
    expect.objectContaining({ model: 'wordnet-topic/1/fp32' }),
  );
  await session.release();
});

test('on a machine of another kind it counts for nothing', async () => {
  await keep(TUNED);
  const machine = { ...(await machineOf(runtime)), cores: 77 };
  const logger = { info: vi.fn(), warn: vi.fn() };
  expect(await tunedFor(model, { cacheDir, runtime, logger, givenThreads: undefined, machine })).toEqual({});
  expect(logger.info).not.toHaveBeenCalled();
});

test('limits that were tuned go before those that a worker measures, and after those of shoal.json', async () => {
  const { session } = await open();
  const measuring = {
    cacheDir,
    device: 'cpu',
    deviceOptions: {},
    intraOpThreads: 1,
    sideBySide: 1,
    runtime: 'c-api 1',
  };
  const tuned = { ...measuring, tuned: { maxBatchTokens: 777, passTokens: 55 } };
  const runner = (own: Model) => loadRunner(own, session, { rows: 'any-length', reason: null });
  expect((await findLimits(runner(model), tuned)).limits).toMatchObject({ maxBatchTokens: 777, passTokens: 55 });
  const told = { ...model, shoal: { ...model.shoal, limits: { max_batch_tokens: 999 } } };
  expect((await findLimits(runner(told), tuned)).limits).toMatchObject({ maxBatchTokens: 999, passTokens: 55 });
  // Workers that are set differently are not taken for alike.
  expect(hardwareKind(tuned)).not.toBe(hardwareKind(measuring));
  expect(hardwareKind({ ...measuring, tuned: {} })).toBe(hardwareKind(measuring));
  await session.release();
});
