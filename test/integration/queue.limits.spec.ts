import { expect, inject, test } from 'vitest';
import { openBench } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

test('chunks fit the hardware with the smallest micro-batches, whichever worker started last', async () => {
  const bench = await openBench({ redisUrl });
  const cutTo = () => bench.redis.hget(`${bench.tag}:limits`, 'batchTokens');
  const start = (hardware: string, maxBatchTokens: number) =>
    bench.startWorker({ hardware, limits: { maxBatchTokens } });

  await start('small', 512);
  await start('large', 8192);
  expect(await cutTo()).toBe('512');
  // The same kind, measured anew.
  await start('small', 1024);
  expect(await cutTo()).toBe('1024');
});

test('hardware that no worker has started on for a week is forgotten', async () => {
  const bench = await openBench({ redisUrl });
  const limits = `${bench.tag}:limits`;
  const eightDaysAgo = Date.now() - 8 * 24 * 3600 * 1000;
  await bench.redis.hset(limits, { 'kind:old': `128 ${eightDaysAgo}` });
  await bench.startWorker({ hardware: 'new', limits: { maxBatchTokens: 4096 } });
  expect(await bench.redis.hmget(limits, 'batchTokens', 'kind:old')).toEqual(['4096', null]);
});
