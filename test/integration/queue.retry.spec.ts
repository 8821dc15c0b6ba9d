import { ShoalError } from '@shoal/contracts';
import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { outcomes, type Run } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
const deviceFailed = () => new ShoalError('device_failed', 'out of memory');

test('a retryable failure is tried three times, with pauses in Redis, and then is the result', async () => {
  const bench = await openBench({ redisUrl });
  const run: Run = async (values) => values.map((value) => (value === 2 ? deviceFailed() : value));
  const { batches } = await bench.startWorker({ run });
  const id = await bench.submit([1, 2, 3]);
  await expect.poll(() => bench.redis.zcard(`${bench.tag}:chunks:delayed`)).toBe(1);
  const record = await bench.end(id);
  expect(outcomes(record)).toEqual([1, 'device_failed', 3]);
  expect(record.results.map((result) => result?.receipt.attempts)).toEqual([1, 3, 1]);
  expect(batches).toEqual([[1, 2, 3], [2], [2]]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a pass that fails for a reason of the device is tried again as a whole, not in halves', async () => {
  const bench = await openBench({ redisUrl });
  let failures = 1;
  const { batches } = await bench.startWorker({
    async run(values) {
      if (failures-- > 0) throw deviceFailed();
      return values;
    },
  });
  const record = await bench.end(await bench.submit([1, 2, 3, 4]));
  expect(outcomes(record)).toEqual([1, 2, 3, 4]);
  expect(record.results.map((result) => result?.receipt.attempts)).toEqual([2, 2, 2, 2]);
  expect(batches).toEqual([
    [1, 2, 3, 4],
    [1, 2, 3, 4],
  ]);
});

test('a failure that is not retryable is the result at once', async () => {
  const bench = await openBench({ redisUrl });
  const { batches } = await bench.startWorker({ run: async (values) => values.map(() => new Error('bad input')) });
  const record = await bench.end(await bench.submit(1));
  expect(record).toMatchObject({ state: 'failed', error: { code: 'inference_failed' } });
  expect(record.results[0]?.receipt.attempts).toBe(1);
  expect(batches).toEqual([[1]]);
});

test('a cancelled job is not tried again', async () => {
  const bench = await openBench({ redisUrl });
  const { batches, stop } = await bench.startWorker({
    async run(values) {
      if (values.includes(1)) throw deviceFailed();
      return values;
    },
  });
  const id = await bench.submit(1);
  await expect.poll(() => bench.redis.zcard(`${bench.tag}:chunks:delayed`)).toBe(1);
  await bench.store.cancel('acme', id);
  await expect.poll(() => bench.redis.zcard(`${bench.tag}:chunks:delayed`)).toBe(0);
  await bench.end(await bench.submit(2));
  await stop();
  expect(batches).toEqual([[1], [2]]);
});
