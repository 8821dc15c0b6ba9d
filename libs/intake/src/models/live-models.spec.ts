import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { identityOf } from '@shoal/models';
import type { BoardState, ProcessModels, Wish } from '@shoal/queue';
import { createLogger } from '@shoal/telemetry';
import { describe, expect, onTestFinished, test } from 'vitest';
import { qualityOf } from '../testing/measured.js';
import { Catalog } from './catalog.js';
import { LiveModels } from './live-models.js';

async function open(fill: (folder: string) => unknown = () => undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-live-models-'));
  await fill(folder);
  const catalog = new Catalog();
  const wishes: [string, Wish][] = [];
  const abandoned: string[] = [];
  const errors: string[] = [];
  const lines: string[] = [];
  const told: ProcessModels[] = [];
  const redis = { away: false, now: 0, processes: [] as BoardState['processes'], everServed: [] as string[] };
  const live = new LiveModels({
    ...{ folder, catalog, clock: () => 0, now: () => redis.now },
    store: {
      serve: async () => {},
      everServed: async (queues) => queues.filter((queue) => redis.everServed.includes(queue)),
      busy: async () => ['a.1.fp32.0'],
      abandon: async (queue, error) => {
        abandoned.push(queue);
        errors.push(error.message);
      },
    },
    board: {
      exchange: async (own) => {
        told.push(own);
        if (redis.away) throw new ShoalError('redis_unavailable', 'away');
        return { wishes: new Map(wishes), marks: new Map(), processes: redis.processes };
      },
      wish: async (selector: string, wish: Wish | null) => void wishes.push([selector, wish!]),
    },
    logger: createLogger({ name: 'api', destination: { write: (line) => void lines.push(line) } }),
  });
  await live.start();
  onTestFinished(async () => {
    await live.stop();
    rmSync(folder, { recursive: true });
  });
  return { live, catalog, wishes, abandoned, errors, lines, told, redis };
}

test('a wish that is left is no failure, though this process cannot read it at once', async () => {
  const { live, wishes, redis } = await open();
  redis.away = true;
  await live.wish('a', 'load');
  expect(wishes).toEqual([['a', 'load']]);
});

test('jobs of a queue that no process tells of fail after half a minute, and not before', async () => {
  const { live, abandoned, redis } = await open();
  const at = async (ms: number) => {
    redis.now = ms;
    await live.wish('a', 'load');
    return [...abandoned];
  };
  redis.processes = [{ role: 'worker', queues: ['a.1.fp32.0'] }];
  expect(await at(100_000)).toEqual([]);
  redis.processes = [];
  expect([await at(100_001), await at(130_000), await at(130_001)]).toEqual([[], [], ['a.1.fp32.0']]);
});

test.each([
  ['lasting', true, 30_000],
  ['passing', false, 600_000],
])('jobs of a model that no worker can load fail with the reason, where that is %s', async (_, lasting, after) => {
  const { live, abandoned, errors, redis } = await open();
  const at = async (ms: number) => {
    redis.now = ms;
    await live.wish('a', 'load');
    return abandoned.length;
  };
  const failed = [{ queue: 'a.1.fp32.0', reason: 'it is broken', lasting }];
  const api = { role: 'api' as const, queues: ['a.1.fp32.0'] };
  const worker = { role: 'worker' as const, queues: [] };
  // One that may load it has not tried yet; one that may not is no hope.
  redis.processes = [api, { ...worker, failed }, { ...worker, failed: [] }, { ...worker, models: ['b'] }];
  expect(await at(1_000_000)).toBe(0);
  redis.processes = [api, { ...worker, failed }, { ...worker, models: ['b'] }];
  expect([await at(1_000_001), await at(1_000_000 + after), await at(1_000_001 + after)]).toEqual([0, 0, 1]);
  expect(errors).toEqual([expect.stringContaining('No worker can load a@1:fp32: it is broken. ')]);
});

test('a version that cannot be served is told as such, by its own name and by that of the model', async () => {
  const { catalog } = await open((folder) => mkdirSync(join(folder, 'a', '3'), { recursive: true }));
  for (const asked of ['a', 'a@3']) expect(() => catalog.choose(asked, 0)).toThrow('This model cannot be loaded');
  expect(() => catalog.choose('a@4', 0)).toThrow('No model of this name is served');
});

test('what was measured and cannot be read is told as such, and the model takes jobs all the same', async () => {
  const model = fileURLToPath(new URL('../../../../models/wordnet-topic/1', import.meta.url));
  const { catalog, lines } = await open((folder) => {
    cpSync(model, join(folder, 'a'), { recursive: true });
    writeFileSync(join(folder, 'a/quality.json'), '{"original": "fp32"}');
  });
  const chosen = catalog.within(catalog.choose('a', 0, 0.5), { loss: 0.5, batch: 1, tokens: 9 });
  expect(chosen.model.queue).toBe('a.1.fp32.0');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { event: 'quality.ignored', folder: 'a', reason: 'quality.json: variants: required' },
  ]);
});

describe('a variant that was measured', () => {
  const source = fileURLToPath(new URL('../../../../models/wordnet-topic/1', import.meta.url));
  const allowed = { loss: 0.02, batch: 1, tokens: 9 };
  const [FIRST, OTHER] = ['a.1.fp32.0', 'a.1.int8.0'];

  async function openMeasured() {
    const opened = await open(async (folder) => {
      cpSync(source, join(folder, 'a'), { recursive: true });
      const [beside, graph] = [join(folder, 'a/onnx/model.onnx'), join(folder, 'a/onnx/model_int8.onnx')];
      cpSync(beside, graph);
      const quality = {
        ...qualityOf({ bound: 0.01, speed: 2 }),
        ...{ graph: await identityOf(graph), beside: await identityOf(beside) },
      };
      writeFileSync(join(folder, 'a/quality.json'), JSON.stringify({ original: 'fp32', variants: { int8: quality } }));
    });
    const { catalog, live } = opened;
    const chosen = () => catalog.within(catalog.choose('a', 0, allowed.loss), allowed).model.queue;
    // An exchange with the board.
    const exchange = () => live.wish('b', 'load');
    return { ...opened, chosen, exchange };
  }

  test('gets jobs once a worker has loaded it, and is told to workers from the first request that it is for', async () => {
    const { chosen, exchange, told, redis } = await openMeasured();
    await exchange();
    expect(told.at(-1)).toEqual({ role: 'api', queues: [FIRST, OTHER] });
    expect(chosen()).toBe(FIRST);
    await exchange();
    expect(told.at(-1)).toEqual({ role: 'api', queues: [FIRST, OTHER], wanted: [OTHER] });
    redis.processes = [{ role: 'worker', queues: [FIRST, OTHER] }];
    await exchange();
    expect(chosen()).toBe(OTHER);
    // It is loaded again for the next job.
    redis.processes = [{ role: 'worker', queues: [FIRST] }];
    await exchange();
    expect(chosen()).toBe(OTHER);
    expect(told.at(-1)).not.toHaveProperty('wanted');
  });

  test('gets them at once where a worker had it before this process began', async () => {
    const { chosen, exchange, redis } = await openMeasured();
    redis.everServed = [OTHER];
    await exchange();
    expect(chosen()).toBe(OTHER);
  });
});
