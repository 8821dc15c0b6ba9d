import { parseJobId } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { deferred, NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { outcomes } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a draining worker ends what runs and hands the rest back in order, without a stall or a strike', async () => {
  const bench = await openBench({ redisUrl });
  const ids: string[] = [];
  // Each a chunk of its own, at a place of its own in the fair order.
  for (let n = 0; n < 40; n++) ids.push(await bench.submit(n, { lengths: [64] }));
  const started = deferred();
  const finish = deferred();
  const first = await bench.startWorker({
    limits: { maxBatchSize: 1 },
    async run(values) {
      started.resolve();
      await finish.promise;
      return values;
    },
  });
  await started.promise;
  const stopping = first.stop();
  finish.resolve();
  await stopping;

  const ran = first.batches.flat();
  expect(ran).toHaveLength(1);
  const waiting = await bench.redis.zrange(`${bench.tag}:chunks:prioritized`, '0', '-1');
  const chunks = await Promise.all(waiting.map((chunk) => bench.redis.hgetall(`${bench.tag}:chunks:${chunk}`)));
  const order = chunks.map(({ data }) => (JSON.parse(data!) as { slices: [string, number][] }).slices[0]![0]);
  expect(order).toEqual(ids.filter((_, n) => n !== ran[0]).map((id) => parseJobId(id)!.ulid));
  expect(chunks.map(({ stc }) => stc)).toEqual(chunks.map(() => undefined));
  for (const list of ['active', 'wait']) expect(await bench.redis.llen(`${bench.tag}:chunks:${list}`)).toBe(0);

  const second = await bench.startWorker({ run: async (values) => values });
  const records = await Promise.all(ids.map((id) => bench.end(id)));
  expect(records.map(outcomes)).toEqual(ids.map((_, n) => [n]));
  expect(records.every(({ results }) => results[0]!.receipt.attempts === 1)).toBe(true);
  // A strike would have made an item run alone.
  expect(records.filter(({ results }) => results[0]!.receipt.closedBy === 'alone')).toEqual([]);
  expect([...ran, ...second.batches.flat()].toSorted((a, b) => a - b)).toEqual(ids.map((_, n) => n));
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('an array that is half done when its worker drains is ended by another', async () => {
  const bench = await openBench({ redisUrl });
  const started = deferred();
  const finish = deferred();
  const values = Array.from({ length: 32 }, (_, n) => n);
  const first = await bench.startWorker({
    limits: { maxBatchSize: 8 },
    async run(batch) {
      started.resolve();
      await finish.promise;
      return batch.map((value) => value + 0.5);
    },
  });
  const id = await bench.submit(values);
  await started.promise;
  const stopping = first.stop();
  finish.resolve();
  await stopping;
  const ran = first.batches.flat();
  expect(ran.length).toBe(8);
  const second = await bench.startWorker({ run: async (batch) => batch });
  const record = await bench.end(id);
  expect(outcomes(record)).toEqual(values.map((value) => (ran.includes(value) ? value + 0.5 : value)));
  expect(second.batches.flat()).toHaveLength(24);
});

test('an idle worker stops although Redis is away', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const { stop } = await bench.startWorker();
  await bench.end(await bench.submit(1));
  // A worker that still has to settle a chunk waits for Redis, as long as its drain may take.
  await expect.poll(() => bench.redis.llen(`${bench.tag}:chunks:active`)).toBe(0);
  bench.redis.call('SHUTDOWN', 'NOSAVE').catch(() => undefined);
  // After the second attempt of this connection, the worker's are trying too.
  for (let attempt = 0; attempt < 2; attempt++) {
    await new Promise((resolve) => bench.redis.once('reconnecting', resolve));
  }
  await stop();
});
