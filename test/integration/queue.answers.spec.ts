import { expect, inject, test } from 'vitest';
import { pieceOf, written } from '../support/answers.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import { resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
const ONE = { answers: [100] };

const textKey = (bench: Bench, id: string) => bench.recordKey(id).replace(':job:', ':text:');
const held = async (bench: Bench, tenant = TENANT) => Number(await bench.redis.hget(`${bench.tag}:held`, tenant));

test('who lost the lock of an item writes nothing of its answer; who claims it has what was written before', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, ONE);
  const [stale] = await claims.next(1);
  expect(stale!.item).toMatchObject({ written: 0, tenant: TENANT });
  expect(await publisher.written(stale!.item)).toEqual([]);
  await publisher.begin([stale!.item]);
  expect(await publisher.write([written(stale!.item, 0)])).toEqual([1]);
  const savings = { cachedTokens: 64, accepted: 1, rejected: 2 };
  const later = { ...pieceOf(1, 3), savings };
  expect(await publisher.write([{ item: stale!.item, piece: later }])).toEqual([1]);
  await bench.loseLock(stale!);
  const [fresh] = await claims.next(1);
  expect(await publisher.write([written(stale!.item, 3)])).toEqual([-1]);
  expect(fresh!.item.written).toBe(3);
  expect(await publisher.written(fresh!.item)).toEqual([pieceOf(0, 1), later]);
  expect(await publisher.write([written(fresh!.item, 3)])).toEqual([1]);
  expect(await bench.redis.xlen(textKey(bench, id))).toBe(3);
});

test('a piece that is sent twice is there once; one that leaves a gap, or has half of what is there, is not written', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, ONE);
  const [claim] = await claims.next(1);
  const item = claim!.item;
  const write = async (from: number, to: number) => (await publisher.write([written(item, from, to)]))[0];
  expect([await write(0, 2), await write(0, 2), await write(0, 1)]).toEqual([1, 1, 1]);
  expect([await write(3, 4), await write(1, 3)]).toEqual([-2, -2]);
  expect(await write(2, 4)).toBe(1);
  const entries = await bench.redis.xrange(textKey(bench, id), '-', '+');
  expect(entries.map(([seq]) => seq)).toEqual(['1-0', '2-0']);
});

test('the answers of a job are chunks of their own, written in one call, and numbered together', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([7, 8, 9], { answers: [10, 10, 10] });
  const items = (await claims.next(3)).map(({ item }) => item).sort((a, b) => a.n - b.n);
  expect(new Set(items.map(({ lock }) => lock.id)).size).toBe(3);
  const step = (from: number) => publisher.write(items.map((item) => written(item, from)));
  expect([await step(0), await step(1)]).toEqual([
    [1, 1, 1],
    [1, 1, 1],
  ]);
  const entries = await bench.redis.xrange(textKey(bench, id), '-', '+');
  expect(entries.map(([seq, fields]) => `${seq} ${fields[1]}`)).toEqual([
    '1-0 0',
    '2-0 1',
    '3-0 2',
    '4-0 0',
    '5-0 1',
    '6-0 2',
  ]);
  // One is done: nothing more is written of it, and the others go on.
  await publisher.publish([{ item: items[1]!, result: resultOf(1), used: 2 }]);
  expect(await step(2)).toEqual([1, 0, 1]);
  await bench.store.cancel(TENANT, id);
  expect(await step(3)).toEqual([0, 0, 0]);
});

test('a returned item goes on with what was written of it, and its end stores the whole', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, ONE);
  const [first] = await claims.next(1);
  await publisher.begin([first!.item]);
  await publisher.write([written(first!.item, 0, 5)]);
  await publisher.unbegin([first!.item]);
  first!.settle({ kind: 'returned' });
  const [second] = await claims.next(1);
  expect(second!.item).toMatchObject({ written: 5, strikes: 0 });
  await publisher.publish([{ item: second!.item, result: resultOf(3), used: 6 }]);
  expect(await bench.end(id)).toMatchObject({ state: 'completed', results: [{ output: { score: 3 } }] });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a death counts as a strike until 64 tokens were written since the claim, and they take strikes back', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  await bench.submit(1, ONE);
  const strikes: number[] = [];
  const claimed = async () => {
    const [claim] = await claims.next(1);
    strikes.push(claim!.item.strikes);
    await publisher.begin([claim!.item]);
    return claim!;
  };
  for (const tokens of [50, 63, 64]) {
    const claim = await claimed();
    await publisher.write([written(claim.item, claim.item.written, claim.item.written + tokens)]);
    await bench.loseLock(claim);
  }
  await claimed();
  expect(strikes).toEqual([0, 1, 2, 0]);
});

test('of a log that ends elsewhere than it should the item is claimed anew, and goes on from where it ends', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, ONE);
  const [first] = await claims.next(1);
  await publisher.write([written(first!.item, 0, 5), written(first!.item, 5, 9)]);
  // A Redis that has failed over may have lost the last second.
  await bench.redis.xdel(textKey(bench, id), '2-0');
  await bench.redis.hset(bench.recordKey(id), { made0: 5, last0: 1, pieces: 1 });
  expect(await publisher.write([written(first!.item, 9, 10)])).toEqual([-2]);
  first!.settle({ kind: 'retry', afterMs: 1 });
  const [second] = await claims.next(1);
  expect(second!.item.written).toBe(5);
  expect(await publisher.written(second!.item)).toEqual([pieceOf(0, 5)]);
});

test('an attempt that failed after tokens were written is counted, and once where that is told twice', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  await bench.submit(1, ONE);
  const [first] = await claims.next(1);
  await publisher.begin([first!.item]);
  await publisher.write([written(first!.item, 0, 70)]);
  expect(await publisher.publish([{ item: first!.item }])).toEqual([1]);
  expect(await publisher.publish([{ item: first!.item }])).toEqual([1]);
  first!.settle({ kind: 'retry', afterMs: 1 });
  const [second] = await claims.next(1);
  expect(second!.item).toMatchObject({ attempts: 1, written: 70, strikes: 0 });
});

test('what was written of one answer is read without those beside it, in as many pages as it takes', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const { claims, publisher } = bench.startHolder();
  await bench.submit([1, 2], { answers: [1000, 1000] });
  const [own, other] = (await claims.next(2)).map(({ item }) => item);
  for (let n = 0; n < 600; n += 50) {
    const some = Array.from({ length: 50 }, (_, i) => n + i);
    await publisher.write(some.map((token) => written(own!, token)));
    await publisher.write(some.map((token) => written(other!, token)));
  }
  const reads = async () => /cmdstat_xrange:calls=(\d+)/.exec(await bench.redis.info('commandstats'))?.[1];
  expect(await publisher.written(own!)).toEqual(Array.from({ length: 600 }, (_, n) => pieceOf(n, n + 1)));
  expect(Number(await reads())).toBeLessThan(610);
});

test('an answer that is returned before its first token has ended no process; a worker that lost it takes nothing back', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  await bench.submit(1, ONE);
  const [first] = await claims.next(1);
  await publisher.begin([first!.item]);
  await publisher.unbegin([first!.item]);
  first!.settle({ kind: 'returned' });
  const [second] = await claims.next(1);
  expect(second!.item.strikes).toBe(0);
  await publisher.begin([second!.item]);
  await bench.loseLock(second!);
  await publisher.unbegin([second!.item]);
  const [third] = await claims.next(1);
  expect(third!.item.strikes).toBe(1);
});

test('an answer whose deadline has passed ends with the next piece', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, { ...ONE, deadline: { in: 60_000 } });
  const [claim] = await claims.next(1);
  await publisher.write([written(claim!.item, 0)]);
  await bench.redis.hset(bench.recordKey(id), { deadline: 1 });
  expect(await publisher.write([written(claim!.item, 1)])).toEqual([0]);
  expect((await bench.end(id)).state).toBe('expired');
});

test('what is written is held until it expires with its record, or is deleted', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const [kept, deleted] = [await bench.submit(1, ONE), await bench.submit(2, { ...ONE, retentionMs: 90_000 })];
  const items = (await claims.next(2)).map(({ item }) => item);
  await publisher.write(items.map((item) => written(item, 0, 64)));
  await publisher.publish(items.map((item) => ({ item, result: resultOf(1), used: 64 })));
  expect(await held(bench)).toBeGreaterThan(2 * (64 * 4 + 600));
  for (const id of [kept, deleted]) {
    const [ttl, own] = [await bench.redis.pttl(textKey(bench, id)), await bench.redis.pttl(bench.recordKey(id))];
    expect(ttl).toBeGreaterThan(30_000);
    expect(Math.abs(ttl - own)).toBeLessThan(50);
  }
  await bench.store.remove(TENANT, deleted);
  expect(await bench.redis.exists(textKey(bench, deleted))).toBe(0);
  const late = await bench.submit(3, ONE);
  const [claim] = await claims.next(1);
  await publisher.write([written(claim!.item, 0, 64)]);
  await bench.store.remove(TENANT, late);
  await bench.store.remove(TENANT, kept);
  expect(await bench.redis.hgetall(`${bench.tag}:held`)).toEqual({});
  expect((await bench.keys()).filter((key) => key.startsWith('text') || key.startsWith('job'))).toEqual([]);
});

test('on a cluster, answers are written and followed like anywhere', async () => {
  const cluster = await startRedisCluster();
  const queues = await Promise.all([0, 1].map((master) => cluster.queueOn(master)));
  const bench = await openBench({ redisUrl: cluster.masters[1]!.url, redisCluster: true, queues });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2], { answers: [5, 5] });
  const items = (await claims.next(2)).map(({ item }) => item);
  const looks = bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, new AbortController().signal);
  expect((await looks.next()).value).toMatchObject({ pieces: [], last: false });
  expect(await publisher.write(items.map((item) => written(item, 0)))).toEqual([2, 2]);
  expect((await looks.next()).value).toMatchObject({ pieces: [{ seq: 1 }, { seq: 2 }] });
  await looks.return();
});
