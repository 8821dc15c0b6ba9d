/** A job that was accepted for one graph is run by that graph or by none. */
import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { outcomes } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('jobs of the loaded graph, and those of any, are run; one of another graph ends as model_changed and is never run', async () => {
  const bench = await openBench({ redisUrl });
  const { batches } = await bench.startWorker({ graph: 'new' });
  const ids = [await bench.submit(1, { graph: 'new' }), await bench.submit([2, 3])];
  const replaced = await bench.submit([4, 5], { graph: 'old' });
  for (const id of ids) expect((await bench.end(id)).state).toBe('completed');
  const record = await bench.end(replaced);
  expect(outcomes(record)).toEqual(['model_changed', 'model_changed']);
  expect(record.results[0]).toMatchObject({ error: { retryable: true }, receipt: { attempts: 3 } });
  expect(batches.flat().sort()).toEqual([1, 2, 3]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a worker that is behind leaves a job to one that has its graph', async () => {
  const bench = await openBench({ redisUrl });
  const behind = await bench.startWorker({ graph: 'old' });
  const id = await bench.submit(7, { graph: 'new' });
  await expect.poll(() => bench.redis.zcard(`${bench.tag}:chunks:delayed`)).toBe(1);
  await behind.stop();
  await bench.startWorker({ graph: 'new' });
  expect(outcomes(await bench.end(id))).toEqual([14]);
  expect(behind.batches).toEqual([]);
});
