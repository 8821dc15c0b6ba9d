import { expect, inject, test } from 'vitest';
import { collect, pieceOf, piecesOf, textOf, written } from '../support/answers.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, openBench, TENANT } from '../support/queue-harness.js';
import { resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
const START = { parts: 0, pieces: 0 };
const never = new AbortController().signal;
const ONE = { answers: [1000] };

/** How often the server has run a command. */
async function callsOf(bench: Bench, command: string): Promise<number> {
  const stats = await bench.redis.info('commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

async function claimOne(bench: Bench) {
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit(1, ONE);
  const [claim] = await claims.next(1);
  const item = claim!.item;
  return { id, claims, publisher, claim: claim!, item };
}

test('pieces come to followers on another replica as they are written, and the end after all of them', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const replica = await bench.openStore();
  const { id, publisher, item } = await claimOne(bench);
  expect(await publisher.write([written(item, 0)])).toEqual([1]);
  const looks = replica.follow(TENANT, id, START, never);
  expect((await looks.next()).value).toMatchObject({
    pieces: [{ seq: 1, index: 0, piece: pieceOf(0, 1) }],
    last: false,
  });
  const reads = await callsOf(bench, 'xrange');
  for (let n = 1; n < 20; n++) {
    expect(await publisher.write([written(item, n)])).toEqual([2]);
    expect((await looks.next()).value).toMatchObject({ pieces: [{ seq: n + 1, index: 0, piece: pieceOf(n, n + 1) }] });
  }
  // They came in messages: the log was not read again.
  expect(await callsOf(bench, 'xrange')).toBe(reads);
  await publisher.publish([{ item, result: resultOf(20), used: 20 }]);
  const end = await collect(looks);
  expect(end.at(-1)).toMatchObject({
    record: { state: 'completed', results: [{ output: { score: 20 } }] },
    last: true,
  });
  expect(piecesOf(end)).toEqual([]);
});

test('from any piece on, running or ended, a follower has the rest once and in order', async () => {
  const bench = await openBench({ redisUrl });
  const { id, publisher, item } = await claimOne(bench);
  for (let n = 0; n < 600; n += 2) await publisher.write([written(item, n, n + 2)]);
  const running = bench.store.follow(TENANT, id, { parts: 0, pieces: 290 }, never);
  expect((await running.next()).value).toMatchObject({
    pieces: Array.from({ length: 10 }, (_, n) => ({ seq: 291 + n })),
  });
  await running.return();
  await publisher.publish([{ item, result: resultOf(1), used: 600 }]);
  for (const after of [0, 1, 256, 299, 300]) {
    const looks = await collect(bench.store.follow(TENANT, id, { parts: 0, pieces: after }, never));
    expect(piecesOf(looks).map(({ seq }) => seq)).toEqual(Array.from({ length: 300 - after }, (_, n) => after + 1 + n));
    expect(looks.map(({ last }) => last)).toEqual([...looks.slice(1).map(() => false), true]);
  }
});

test('no piece is missed or told twice where an answer goes on in another worker', async () => {
  const bench = await openBench({ redisUrl });
  const { id, claims, publisher, claim, item } = await claimOne(bench);
  const all = collect(bench.store.follow(TENANT, id, START, never));
  await publisher.write([written(item, 0, 3)]);
  await bench.loseLock(claim);
  const [other] = await claims.next(1);
  await publisher.write([written(item, 3, 9)]);
  await publisher.write([written(other!.item, 3, 5)]);
  await publisher.write([written(other!.item, 3, 5)]);
  other!.settle({ kind: 'returned' });
  const [third] = await claims.next(1);
  await publisher.write([written(third!.item, 5, 6)]);
  await publisher.publish([{ item: third!.item, result: resultOf(1), used: 6 }]);
  const pieces = piecesOf(await all);
  expect(pieces.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(textOf(pieces)).toBe(pieceOf(0, 6).text);
});

test('what no message told is read from the log: after a gap, and by a reader that was too slow', async () => {
  const bench = await openBench({ redisUrl });
  const { id, publisher, item } = await claimOne(bench);
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  // As when nobody was known to follow: it is written, and not told.
  await bench.redis.hdel(bench.recordKey(id), 'followed');
  expect(await publisher.write([written(item, 0)])).toEqual([1]);
  await bench.redis.hset(bench.recordKey(id), { followed: Date.now() + 60_000 });
  expect(await publisher.write([written(item, 1)])).toEqual([2]);
  expect((await looks.next()).value).toMatchObject({ pieces: [{ seq: 1 }, { seq: 2 }] });
  // More than an inbox holds, while nobody asks.
  const large = (from: number) => ({ item, piece: { ...pieceOf(from, from + 1), text: 'x'.repeat(10_000) } });
  for (let n = 2; n < 42; n++) await publisher.write([large(n)]);
  await publisher.publish([{ item, result: resultOf(1), used: 42 }]);
  const rest = piecesOf(await collect(looks));
  expect(rest.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, n) => n + 3));
});

test('the broken subscription of a follower loses no piece', async () => {
  const bench = await openBench({ redisUrl });
  const { id, publisher, item } = await claimOne(bench);
  const all = collect(bench.store.follow(TENANT, id, START, never));
  for (let n = 0; n < 60; n++) {
    if (n % 20 === 10) await bench.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await publisher.write([written(item, n)]);
  }
  await publisher.publish([{ item, result: resultOf(1), used: 60 }]);
  expect(textOf(piecesOf(await all))).toBe(pieceOf(0, 60).text);
});

test('a job that nobody follows tells nobody, and one that is gone is not followed', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const { id, publisher, item } = await claimOne(bench);
  const told = await callsOf(bench, 'publish');
  await publisher.write([written(item, 0)]);
  expect(await callsOf(bench, 'publish')).toBe(told);
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  await bench.store.remove(TENANT, id);
  await expect(collect(looks)).rejects.toMatchObject({ code: 'job_not_found' });
  expect((await bench.keys()).filter((key) => key.startsWith('job'))).toEqual([]);
});

test('answers of an array come with the places that the caller gave their prompts, and as parts when they are whole', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([5, 6], { lengths: [9, 3], answers: [4, 4] });
  const items = (await claims.next(2)).map(({ item }) => item);
  const all = collect(bench.store.follow(TENANT, id, START, never));
  for (const n of [0, 1]) await publisher.write(items.map((item) => written(item, n)));
  for (const item of items) await publisher.publish([{ item, result: resultOf(item.length), used: 2 }]);
  const looks = await all;
  expect([0, 1].map((index) => textOf(piecesOf(looks), index))).toEqual([pieceOf(0, 2).text, pieceOf(0, 2).text]);
  const parts = looks.flatMap((look) => look.parts);
  expect(parts.map(({ index, result }) => [index, result.output]).sort()).toMatchObject([
    [0, { score: 9 }],
    [1, { score: 3 }],
  ]);
  expect(looks.at(-1)!.last).toBe(true);
});
