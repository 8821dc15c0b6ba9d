/** Where a job stands among those that wait, and when its turn is expected. */
import { describe, expect, inject, test } from 'vitest';
import { type Bench, openBench, TENANT } from '../support/queue-harness.js';
import { resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
/** Charged for 4 tokens and 256 of its answer: some quanta of the fair order. */
const TEXT = { lengths: [4], answers: [1000] };

async function submitMany(bench: Bench, count: number, options: object = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await bench.submit(n, { ...TEXT, ...options }));
  return ids;
}

const positionsOf = (bench: Bench, ids: readonly string[], tenant = TENANT) =>
  Promise.all(ids.map(async (id) => (await bench.store.place(tenant, id))?.position ?? null));

test('jobs of a tenant stand in the order in which they came, and those of another where the fair order has them', async () => {
  const bench = await openBench({ redisUrl });
  const ids = await submitMany(bench, 5);
  expect(await positionsOf(bench, ids)).toEqual([1, 2, 3, 4, 5]);
  const [other] = await submitMany(bench, 1, { tenant: 'other' });
  // It has the place of the first one, and goes before all that come behind that.
  expect(await positionsOf(bench, [other!], 'other')).toEqual([1]);
  expect(await positionsOf(bench, ids)).toEqual([1, 3, 4, 5, 6]);
  expect(await positionsOf(bench, [other!])).toEqual([null]);
});

test('an array stands where its first items do, many of which may be one unit of work', async () => {
  const bench = await openBench({ redisUrl });
  const values = Array.from({ length: 256 }, (_, n) => n);
  const first = await bench.submit(values);
  const second = await bench.submit(values);
  // 256 items of 4 tokens are four chunks.
  expect(await positionsOf(bench, [first, second])).toEqual([1, 5]);
});

test('what comes of a better priority goes before a job, as it does when workers fetch', async () => {
  const bench = await openBench({ redisUrl });
  const items = { lengths: [260], answers: undefined };
  const [low] = await submitMany(bench, 1, { priority: 'low', ...items });
  const [few] = await submitMany(bench, 2, { priority: 'high', ...items });
  // For less than 4,096 tokens no such chunk is sent back.
  expect(await positionsOf(bench, [low!, few!])).toEqual([1, 1]);
  await submitMany(bench, 18, { priority: 'high', ...items });
  expect(await positionsOf(bench, [low!])).toEqual([21]);
  const { claims } = bench.startHolder((taken) => ({ items: taken < 20 ? 1 : 0, tokens: 999 }));
  const taken = await claims.next(20);
  expect(taken.map(({ item }) => item.jobId)).not.toContain(low);
});

test('a job that is fetched, cancelled or erased stands nowhere, and the others move up', async () => {
  const bench = await openBench({ redisUrl });
  const ids = await submitMany(bench, 4);
  const { claims, publisher } = bench.startHolder((taken) => ({ items: taken < 1 ? 1 : 0, tokens: 999 }));
  const [claim] = await claims.next(1);
  // At a worker and not begun, it is the next.
  expect(await positionsOf(bench, ids)).toEqual([1, 1, 2, 3]);
  await publisher.begin([claim!.item]);
  await bench.store.cancel(TENANT, ids[3]!);
  await bench.store.remove(TENANT, ids[2]!);
  expect(await positionsOf(bench, ids)).toEqual([null, 1, null, null]);
});

test('the start of a job is expected once something has ended, and later the further behind it stands', async () => {
  const bench = await openBench({ redisUrl });
  const ids = await submitMany(bench, 6);
  expect(await bench.store.place(TENANT, ids[5]!)).toEqual({ position: 6, startsAt: null });
  expect(bench.store.delay(bench.queue)).toBe(0);
  const { claims, publisher } = bench.startHolder((taken) => ({ items: taken < 1 ? 1 : 0, tokens: 999 }));
  const [{ item } = { item: null }] = await claims.next(1);
  const startsAt = async (id: string) => (await bench.store.place(TENANT, id))?.startsAt ?? 0;
  // Looked at while there is work, and then once more with what has ended.
  await expect.poll(() => bench.store.depths()[0]?.jobs).toBe(6);
  await publisher.publish([{ item: item!, result: resultOf(1), used: 10 }]);
  await expect.poll(() => startsAt(ids[5]!)).toBeGreaterThan(Date.now());
  expect(await startsAt(ids[5]!)).toBeGreaterThan(await startsAt(ids[1]!));
  // Of all of them together, by the same speed.
  expect(bench.store.delay(bench.queue)).toBeGreaterThan(0);
  for (const id of ids) await bench.store.remove(TENANT, id);
  await expect.poll(() => bench.store.delay(bench.queue)).toBe(0);
});

/** A queue whose API takes more time to have gone by than has. */
async function openLater() {
  let ahead = 0;
  const bench = await openBench({ redisUrl, clock: () => Date.now() + ahead });
  const delay = () => bench.store.delay(bench.queue);
  const jobsSeen = (jobs: number) => expect.poll(() => bench.store.depths()[0]?.jobs).toBe(jobs);
  return { bench, delay, jobsSeen, pass: (seconds: number) => (ahead += 1000 * seconds) };
}

describe('where nothing has ended to tell the speed from', () => {
  test('a queue is behind by as long as work has waited there, until something ends', async () => {
    const { bench, delay, jobsSeen, pass } = await openLater();
    const ids = await submitMany(bench, 3);
    await jobsSeen(3);
    expect(delay()).toBeLessThan(20);
    pass(20);
    await expect.poll(delay).toBeGreaterThan(20);
    pass(20);
    await expect.poll(delay).toBeGreaterThan(40);
    const { claims, publisher } = bench.startHolder((taken) => ({ items: taken < 1 ? 1 : 0, tokens: 999 }));
    const [{ item } = { item: null }] = await claims.next(1);
    await publisher.publish([{ item: item!, result: resultOf(1), used: 256 }]);
    await jobsSeen(2);
    for (const id of ids) await bench.store.remove(TENANT, id);
    await expect.poll(delay).toBe(0);
  });

  test('one whose work is all at workers is not', async () => {
    const { bench, delay, jobsSeen, pass } = await openLater();
    await submitMany(bench, 1);
    const { claims } = bench.startHolder();
    await claims.next(1);
    await jobsSeen(1);
    pass(60);
    await submitMany(bench, 1);
    await jobsSeen(2);
    expect(delay()).toBeLessThan(30);
  });

  test('one that was fast, and idle, is as soon as nobody works for so long', async () => {
    const { bench, delay, jobsSeen, pass } = await openLater();
    const worker = await bench.startWorker();
    await bench.end(await bench.submit(1));
    await worker.stop();
    await jobsSeen(0);
    await bench.submit(2);
    await jobsSeen(1);
    expect(delay()).toBeLessThan(20);
    pass(40);
    await expect.poll(delay).toBeGreaterThan(40);
  });

  test('jobs that were taken back say nothing of it either', async () => {
    const { bench, jobsSeen, pass } = await openLater();
    const ids = await submitMany(bench, 20);
    await jobsSeen(20);
    pass(1);
    for (const id of ids) await bench.store.cancel(TENANT, id);
    await jobsSeen(0);
    const [next] = await submitMany(bench, 1);
    expect(await bench.store.place(TENANT, next!)).toEqual({ position: 1, startsAt: null });
  });
});
