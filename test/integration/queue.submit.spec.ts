import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { outcomes, type Run } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a job goes to a worker and comes back with its result and receipt', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(21);
  expect(await bench.store.get('acme', id)).toMatchObject({ state: 'queued', tokens: 4, total: 1, done: 0 });
  await bench.startWorker();
  const record = await bench.end(id);
  expect(record).toMatchObject({
    state: 'completed',
    total: 1,
    done: 1,
    failed: 0,
    error: null,
    results: [{ output: { kind: 'score', score: 42 }, receipt: { batchSize: 1, closedBy: 'idle', attempts: 1 } }],
  });
  expect(record.createdAt).toBeLessThanOrEqual(record.startedAt!);
  expect(record.startedAt).toBeLessThanOrEqual(record.endedAt!);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('an array comes back in the order of the caller, though items travel by length', async () => {
  const bench = await openBench({ redisUrl });
  const values = Array.from({ length: 1000 }, (_, n) => n);
  const lengths = values.map((n) => 1 + ((n * 7919) % 100));
  const { batches } = await bench.startWorker();
  const record = await bench.end(await bench.submit(values, { lengths }));
  expect(outcomes(record)).toEqual(values.map((value) => 2 * value));
  expect(batches.flat().toSorted((a, b) => a - b)).toEqual(values);
  // Neighbours in a batch are neighbours by length, so that padding stays small.
  const spread = batches.map((batch) => Math.max(...batch.map((n) => lengths[n]!)) - lengths[batch[0]!]!);
  expect(Math.max(...batches.map(({ length }) => length))).toBeGreaterThan(8);
  expect(spread.reduce((sum, n) => sum + n, 0) / spread.length).toBeLessThan(20);
});

test('jobs of many callers share micro-batches, and each gets its own results', async () => {
  const bench = await openBench({ redisUrl });
  const jobs = Array.from({ length: 100 }, (_, n) => bench.job([n, 1000 + n], { tenant: `tenant-${n % 7}` }));
  const admitted = await bench.store.submit(jobs);
  const { batches } = await bench.startWorker();
  const records = await Promise.all(
    admitted.map((entry, n) => bench.end((entry as { id: string }).id, `tenant-${n % 7}`)),
  );
  expect(records.map(outcomes)).toEqual(jobs.map((_, n) => [2 * n, 2000 + 2 * n]));
  expect(batches.length).toBeLessThan(50);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

/** Fails what is odd: alone where it can, else the pass as a whole. */
const failOdd =
  (how: 'row' | 'pass'): Run =>
  async (values) => {
    const odd = new Error('odd');
    if (how === 'pass' && values.some((value) => value % 2 === 1)) throw odd;
    return values.map((value) => (value % 2 === 1 ? odd : value));
  };

test.each(['row', 'pass'] as const)(
  'an item that fails (%s) has its own error and its neighbours their results',
  async (how) => {
    const bench = await openBench({ redisUrl });
    await bench.startWorker({ run: failOdd(how) });
    const [mixed, bad, single] = await Promise.all(
      [[2, 3, 4, 6], [1, 5], 7].map(async (values) => bench.end(await bench.submit(values))),
    );
    expect(mixed).toMatchObject({ state: 'completed', done: 4, failed: 1, error: null });
    expect(outcomes(mixed!)).toEqual([2, 'inference_failed', 4, 6]);
    expect(bad).toMatchObject({ state: 'failed', done: 2, failed: 2 });
    expect(outcomes(bad!)).toEqual(['inference_failed', 'inference_failed']);
    expect(single).toMatchObject({ state: 'failed', error: { code: 'inference_failed', retryable: false } });
    expect(await bench.counters()).toEqual(NOTHING_LEFT);
  },
);

test('a result above 8 MB ends its job as result_too_large and takes no room', async () => {
  const bench = await openBench({ redisUrl });
  const big = { kind: 'vector' as const, values: new Float32Array(1_200_000), dims: [1_200_000] };
  await bench.startWorker({ run: async (values) => values.map(() => big), limits: { maxBatchSize: 1 } });
  const fits = await bench.end(await bench.submit(1));
  expect(fits.state).toBe('completed');
  const id = await bench.submit([1, 2]);
  const record = await bench.end(id);
  expect(record).toMatchObject({ state: 'failed', error: { code: 'result_too_large', retryable: false } });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});
