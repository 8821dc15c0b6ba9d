import { expect, inject, test } from 'vitest';
import { FOREVER, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { outcomes, resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a job expires at its deadline though no worker lives, and gives back what it had reserved', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit([1, 2], { deadline: { in: 30 } });
  expect(await bench.counters()).toMatchObject({ jobs: 1, tokens: 8 });
  const record = await bench.end(id);
  expect(record).toMatchObject({ state: 'expired', startedAt: null, error: { code: 'expired', retryable: false } });
  expect(record.endedAt).toBeGreaterThanOrEqual(record.deadline!);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a job whose deadline has passed when it is submitted never runs', async () => {
  const bench = await openBench({ redisUrl });
  const { batches, stop } = await bench.startWorker();
  const late = await bench.submit(1, { deadline: { at: Date.now() - 60_000 } });
  const fine = await bench.submit(2, { deadline: { in: FOREVER } });
  expect(await bench.end(late)).toMatchObject({ state: 'expired' });
  expect(await bench.end(fine)).toMatchObject({ state: 'completed' });
  await stop();
  expect(batches).toEqual([[2]]);
});

test('a worker that holds an item does not start it after its deadline, though nobody sweeps', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const api = await bench.openStore();
  // The sweepers of all stores end before the deadline; what remains is the check before the forward pass.
  const id = await bench.submit(1, { deadline: { in: 2000 } });
  await Promise.all([api.close(), bench.store.close()]);
  const [claim] = await claims.next(1);
  const { deadline } = (await bench.redis.hgetall(bench.recordKey(id))) as { deadline: string };
  await expect
    .poll(async () => Number((await bench.redis.time())[0]) * 1000, { timeout: 30_000 })
    .toBeGreaterThan(Number(deadline));
  expect(await publisher.begin([claim!.item])).toEqual([0]);
  const reader = await bench.openStore();
  expect(await reader.get(TENANT, id)).toMatchObject({ state: 'expired', startedAt: null });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a job that runs when its deadline passes is dropped by its worker', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, { deadline: { in: 1000 } });
  const [claim] = await claims.next(1);
  const { item } = claim!;
  const dropped = new Promise<void>((resolve) => {
    item.dropped.onAbort = resolve;
  });
  expect(await publisher.begin([item])).toEqual([1]);
  await dropped;
  expect(await bench.end(id)).toMatchObject({ state: 'expired' });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('an array whose deadline passes while it runs says so, keeps what was done, and takes nothing more', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2, 3], { deadline: { in: 1000 } });
  const items = (await claims.next(3)).map(({ item }) => item);
  const dropped = new Promise<void>((resolve) => {
    items[0]!.dropped.onAbort = resolve;
  });
  expect(await publisher.begin(items)).toEqual([1, 1, 1]);
  expect(await publisher.publish([{ item: items[0]!, result: resultOf(5) }])).toEqual([1]);
  await dropped;
  expect(await publisher.publish(items.slice(1).map((item) => ({ item, result: resultOf(6) })))).toEqual([0, 0]);
  const record = await bench.end(id);
  expect(record).toMatchObject({
    state: 'expired',
    done: 1,
    error: { code: 'expired', detail: 'the deadline passed before it was done', retryable: false },
  });
  expect(outcomes(record)).toEqual([5, null, null]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});
