import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model, ModelRunner, Row } from '@shoal/models';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findLimits, hardwareKind, type MeasureOptions } from './limits.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-limits-'));
  await writeFile(join(folder, 'model.onnx'), 'weights');
});
afterEach(() => rm(folder, { recursive: true }));

const options = (changes: Partial<MeasureOptions> = {}): MeasureOptions => ({
  cacheDir: join(folder, 'cache'),
  device: 'cpu',
  deviceOptions: {},
  intraOpThreads: 1,
  sideBySide: 2,
  runtime: 'c-api 1.0.0',
  ...changes,
});

/** A text model that answers at once. */
function textRunner(maxTokens = 16, shoal: Model['shoal'] = {}) {
  const run = vi.fn(async (rows: readonly Row[]) => rows.map(() => ({ kind: 'score', score: 0 }) as const));
  const variants = { fp32: join(folder, 'model.onnx') };
  const model = { variant: 'fp32', variants, shoal, batchable: true, text: { maxTokens, vocabSize: 50 } };
  const runner: ModelRunner = {
    model: model as unknown as Model,
    joining: { rows: 'any-length', reason: null },
    defaults: {},
    groupKey: () => '',
    run,
    close: async () => undefined,
  };
  return { runner, run };
}

describe('findLimits', () => {
  it('measures once for a model and a kind of hardware, as many passes at once as run under load', async () => {
    const { runner, run } = textRunner();
    const first = await findLimits(runner, options());
    expect(first.measured).toMatchObject({ kept: false, maxBatchTokens: first.limits.maxBatchTokens });
    expect(run.mock.calls.length % 2).toBe(0);
    run.mockClear();
    const second = await findLimits(runner, options());
    expect(second.limits).toEqual(first.limits);
    expect(second.measured?.kept).toBe(true);
    expect(run).not.toHaveBeenCalled();
  });

  it.each([
    ['more passes side by side', { sideBySide: 4 }],
    ['another runtime', { runtime: 'c-api 2.0.0' }],
    ['another device', { device: 'cuda:0' }],
    ['other options of the device', { deviceOptions: { use_tf32: '0' } }],
    ['more threads', { intraOpThreads: 2 }],
  ])('with %s it measures anew: the hardware is of another kind', async (_, changes) => {
    const { runner, run } = textRunner();
    await findLimits(runner, options());
    run.mockClear();
    await findLimits(runner, options(changes));
    expect(run).toHaveBeenCalled();
    expect(hardwareKind(options(changes))).not.toBe(hardwareKind(options()));
    expect(await readdir(join(folder, 'cache'))).toHaveLength(2);
  });

  it('takes what shoal.json says, and the longest text in any case', async () => {
    const { runner } = textRunner(9000, { limits: { max_batch_tokens: 10_000, max_batch_size: 3, max_delay_ms: 7 } });
    const { limits } = await findLimits(runner, options());
    expect(limits).toMatchObject({ maxBatchTokens: 10_000, maxBatchSize: 3, maxDelayMs: 7 });
    expect((await findLimits(textRunner(9000).runner, options())).limits.maxBatchTokens).toBeGreaterThanOrEqual(9000);
  });

  it('rows that run alone are measured by themselves: what is kept for them is not what joined rows get', async () => {
    const { runner, run } = textRunner();
    const alone: ModelRunner = { ...runner, joining: { rows: 'alone', reason: 'not proved' } };
    expect((await findLimits(alone, options())).limits.maxBatchSize).toBe(1);
    expect(Math.max(...run.mock.calls.map(([rows]) => rows.length))).toBe(1);
    run.mockClear();
    await findLimits(runner, options());
    expect(run).toHaveBeenCalled();
  });

  it('a pass that fails is a model that cannot be served', async () => {
    const { runner } = textRunner();
    const broken = { ...runner, run: async () => [new Error('no kernel')] };
    await expect(findLimits(broken, options())).rejects.toThrow('no kernel');
  });
});
