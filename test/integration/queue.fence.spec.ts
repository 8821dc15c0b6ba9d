import { parseJobId } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { outcomes, resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a worker that lost its lock writes nothing; the item is published once, by its new holder', async () => {
  const bench = await openBench({ redisUrl });
  const endings = await bench.countEndings();
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2]);
  const stale = await claims.next(2);
  const publish = (held: typeof stale, from: number) =>
    publisher.publish(held.map(({ item }, n) => ({ item, result: resultOf(from + n) })));
  expect(await publisher.begin(stale.map(({ item }) => item))).toEqual([1, 1]);
  await bench.loseLock(stale[0]!);
  expect(await publish(stale, 10)).toEqual([-1, -1]);
  expect(await publisher.begin(stale.map(({ item }) => item))).toEqual([-1, -1]);

  const fresh = await claims.next(2);
  expect(fresh.map(({ item }) => item.strikes)).toEqual([1, 1]);
  expect(await publisher.begin(fresh.map(({ item }) => item))).toEqual([1, 1]);
  expect(await publish(stale, 20)).toEqual([-1, -1]);
  expect(await publish(fresh, 30)).toEqual([1, 1]);
  expect(await publish(stale, 40)).toEqual([-1, -1]);
  expect(await publish(fresh, 50)).toEqual([0, 0]);

  expect(outcomes(await bench.end(id))).toEqual([30, 31]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  expect(endings.get(id)).toBe(1);
});

test('what a lost worker had published stays, and is not run again', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2, 3]);
  const stale = await claims.next(3);
  await publisher.begin(stale.slice(0, 2).map(({ item }) => item));
  expect(await publisher.publish([{ item: stale[1]!.item, result: resultOf(7) }])).toEqual([1]);
  await bench.loseLock(stale[0]!);
  const fresh = await claims.next(2);
  expect(fresh.map(({ item }) => item.n)).toEqual([stale[0]!.item.n, stale[2]!.item.n]);
  await publisher.publish(fresh.map(({ item }) => ({ item, result: resultOf(8) })));
  expect(outcomes(await bench.end(id))).toEqual([8, 7, 8]);
});

test('the items of a chunk whose lock is lost are aborted where they wait', async () => {
  const bench = await openBench({ redisUrl });
  const { claims } = bench.startHolder();
  await bench.submit(1);
  const [claim] = await claims.next(1);
  const aborted = new Promise<void>((resolve) => {
    claim!.item.dropped.onAbort = resolve;
  });
  await bench.redis.set(`${bench.tag}:chunks:${claim!.item.lock.id}:lock`, 'another');
  await aborted;
});

test('a chunk that was enqueued twice gives one result', async () => {
  const bench = await openBench({ redisUrl });
  const endings = await bench.countEndings();
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2]);
  const first = await claims.next(2);
  // As if the reply of the enqueueing had been lost: the sweeper enqueues again.
  const commit = { id: [parseJobId(id)!.ulid], tenant: [TENANT], rank: [2], slices: [1] };
  const lost = { ...commit, count: [2], tokens: [8], tag: [0], overtaken: [0] };
  const forget = `redis.call('HSET', KEYS[1] .. ':commits', 'lost', cmsgpack.pack(cjson.decode(ARGV[1])))
    redis.call('ZADD', KEYS[1] .. ':commits:due', 1, 'lost')`;
  await bench.redis.eval(forget, 1, bench.tag, JSON.stringify(lost));
  const second = await claims.next(2);
  expect(second[0]!.item.lock.id).not.toBe(first[0]!.item.lock.id);
  await publisher.begin(first.map(({ item }) => item));
  expect(await publisher.begin(second.map(({ item }) => item))).toEqual([1, 1]);
  // Each finishes one item before the other.
  expect(await publisher.publish([{ item: second[1]!.item, result: resultOf(11) }])).toEqual([1]);
  const late = first.map(({ item }, n) => ({ item, result: resultOf(20 + n) }));
  expect(await publisher.publish(late)).toEqual([1, 0]);
  expect(await publisher.publish(second.map(({ item }) => ({ item, result: resultOf(30) })))).toEqual([0, 0]);
  expect(await bench.end(id)).toMatchObject({ state: 'completed', done: 2 });
  expect(outcomes(await bench.end(id))).toEqual([20, 11]);
  expect(endings.get(id)).toBe(1);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});
