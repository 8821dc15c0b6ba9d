import type { NewJob } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { type Bench, deferred, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');
/** Values of the second tenant's jobs start here. */
const OTHER = 1_000_000;

/** To publish a micro-batch, fetch a chunk and claim it takes three: a pass shorter than that ends before the next is here. */
const ROUND_TRIPS = 9;

/** A bench whose workers take 256 tokens at a time, so that shares can be read from few batches. */
async function openSmallBatches(): Promise<Bench> {
  const bench = await openBench({ redisUrl });
  await bench.redis.hset(`${bench.tag}:limits`, { batchTokens: 256 });
  // Only a store that opens after a worker has told its limits cuts chunks to fit.
  return { ...bench, store: await bench.openStore() };
}

interface Backlog {
  readonly jobs: number;
  readonly length: number;
  readonly weight: number;
}

/**
 * Submits two tenants' backlogs, the first before the second, runs them, and returns the first one's share of the tokens
 * that were served while both waited.
 */
async function shareOfFirst(bench: Bench, [first, second]: readonly [Backlog, Backlog]): Promise<number> {
  const jobsOf = ({ jobs, length, weight }: Backlog, tenant: string, from: number): NewJob[] =>
    Array.from({ length: jobs }, (_, n) => bench.job(from + n, { tenant, weight, lengths: [length] }));
  await bench.store.submit(jobsOf(first, 'first', 1));
  const last = await bench.store.submit(jobsOf(second, 'second', OTHER));
  const empty = deferred();
  let left = first.jobs + second.jobs;
  const { batches } = await bench.startWorker({
    limits: { maxBatchSize: 4, maxBatchTokens: 256 },
    async run(values) {
      left -= values.length;
      if (left === 0) empty.resolve();
      return values;
    },
  });
  await empty.promise;
  expect(last.filter((entry) => entry instanceof Error)).toEqual([]);
  const served = batches.flat();
  const isSecond = (value: number) => value >= OTHER;
  const bothUntil = Math.min(
    served.findLastIndex(isSecond),
    served.findLastIndex((value) => !isSecond(value)),
  );
  const tokens = { first: 0, second: 0 };
  for (const value of served.slice(0, bothUntil)) {
    if (isSecond(value)) tokens.second += second.length;
    else tokens.first += first.length;
  }
  return tokens.first / (tokens.first + tokens.second);
}

test.each([
  ['ten times the jobs', { jobs: 1500, length: 64, weight: 1 }, { jobs: 150, length: 64, weight: 1 }, 0.5],
  ['three times the weight', { jobs: 450, length: 64, weight: 3 }, { jobs: 450, length: 64, weight: 1 }, 0.75],
  ['a third of the weight', { jobs: 450, length: 64, weight: 1 }, { jobs: 450, length: 64, weight: 3 }, 0.25],
  ['items four times as long', { jobs: 300, length: 128, weight: 1 }, { jobs: 1200, length: 32, weight: 1 }, 0.5],
] as const)('a tenant with %s gets its share of the tokens, and no more', async (_, first, second, share) => {
  const measured = await shareOfFirst(await openSmallBatches(), [first, second]);
  expect(measured).toBeGreaterThan(share - 0.05);
  expect(measured).toBeLessThan(share + 0.05);
});

/** Start tags and priorities of what waits, in the order in which BullMQ serves it. */
async function waitingChunks(bench: Bench) {
  const waiting = await bench.redis.zrange(`${bench.tag}:chunks:prioritized`, '0', '-1', 'WITHSCORES');
  const chunks = [];
  for (let n = 0; n < waiting.length; n += 2) {
    const { priority, data } = await bench.redis.hgetall(`${bench.tag}:chunks:${waiting[n]}`);
    const score = Math.floor(Number(waiting[n + 1]) / 2 ** 32);
    const [[ulid]] = (JSON.parse(data!) as { slices: [[string]] }).slices;
    chunks.push({ ulid, priority: Number(priority), score });
  }
  return chunks;
}

test('before priorities run out they start again from 1, and the order stays', async () => {
  const bench = await openBench({ redisUrl });
  const ids = [await bench.submit(0, { lengths: [64] })];
  // As if the queue had not been empty for 128 million tokens.
  await bench.redis.hset(`${bench.tag}:state`, { virtual: 1_999_990 * 64 });
  for (let n = 1; n < 40; n++) ids.push(await bench.submit(n, { lengths: [64], tenant: n % 2 ? TENANT : 'other' }));
  const chunks = await waitingChunks(bench);
  expect(chunks.map(({ score }) => score)).toEqual(chunks.map(({ priority }) => priority));
  expect(Math.max(...chunks.map(({ score }) => score))).toBeLessThan(100);
  expect(Math.min(...chunks.map(({ score }) => score))).toBe(1);
  // The two tenants' jobs alternate, each tenant's in the order of submission.
  const places = new Map(chunks.map(({ ulid }, place) => [ulid, place]));
  const placesOf = (mine: boolean) =>
    ids.filter((_, n) => n > 0 && (n % 2 === 1) === mine).map((id) => places.get(id.split('.').at(-1)!)!);
  for (const mine of [true, false]) expect(placesOf(mine)).toEqual(placesOf(mine).toSorted((a, b) => a - b));
  expect(placesOf(true).every((place, n) => Math.abs(place - (placesOf(false)[n] ?? place)) <= 2)).toBe(true);

  const { batches } = await bench.startWorker({ limits: { maxBatchSize: 1 } });
  await Promise.all(ids.map((id, n) => bench.end(id, n % 2 || n === 0 ? TENANT : 'other')));
  expect(batches.flat()).toHaveLength(40);
  // The queue is empty: fair queueing starts afresh.
  expect(await bench.redis.hmget(`${bench.tag}:state`, 'virtual', 'base')).toEqual([null, null]);
  expect(await bench.redis.exists(`${bench.tag}:tags`)).toBe(0);
});

test('high priority takes a larger share and never all of it', async () => {
  const bench = await openSmallBatches();
  const jobs = (priority: 'high' | 'normal', from: number) =>
    Array.from({ length: 300 }, (_, n) => bench.job(from + n, { priority, lengths: [64], tenant: priority }));
  await bench.store.submit(jobs('normal', OTHER));
  const high = await bench.store.submit(jobs('high', 1));
  const { batches } = await bench.startWorker({ limits: { maxBatchSize: 4, maxBatchTokens: 256 } });
  await Promise.all(high.map((entry) => bench.end((entry as { id: string }).id, 'high')));
  const served = batches.flat();
  const until = served.findLastIndex((value) => value < OTHER) + 1;
  expect(300 / until).toBeGreaterThan(0.75);
  expect(300 / until).toBeLessThan(0.85);
});

test('a tenant that comes while another has much waiting is served next', async () => {
  const bench = await openSmallBatches();
  await bench.store.submit(Array.from({ length: 1500 }, (_, n) => bench.job(1 + n, { lengths: [64] })));
  const half = deferred();
  const go = deferred();
  let served = 0;
  let most = 0;
  const { batches } = await bench.startWorker({
    limits: { maxBatchSize: 4, maxBatchTokens: 256 },
    async run(values) {
      for (let trip = 0; trip < ROUND_TRIPS; trip++) {
        most = Math.max(most, await bench.redis.llen(`${bench.tag}:chunks:active`));
      }
      served += values.length;
      if (served >= 750) {
        half.resolve();
        await go.promise;
      }
      return values;
    },
  });
  await half.promise;
  const [light] = await bench.store.submit([bench.job(OTHER, { tenant: 'light', lengths: [64] })]);
  const startedBefore = batches.length;
  go.resolve();
  await bench.end((light as { id: string }).id, 'light');
  const before = batches.findIndex((batch) => batch.includes(OTHER)) - startedBefore;
  // The one that was running, and one that formed while the light tenant's job was fetched.
  expect(before).toBeLessThanOrEqual(2);
  // A worker holds four micro-batches, and with each of its four fetchers at most a chunk (half a micro-batch) more.
  expect(most).toBeLessThanOrEqual(12);
});

test('a tenant that comes late with much to do gets its share from then on, not what it did not use before', async () => {
  const bench = await openSmallBatches();
  const backlog = (jobs: number, tenant: string, from: number) =>
    bench.store.submit(Array.from({ length: jobs }, (_, n) => bench.job(from + n, { tenant, lengths: [64] })));
  await backlog(1500, 'first', 1);
  const half = deferred();
  const go = deferred();
  let served = 0;
  const { batches } = await bench.startWorker({
    limits: { maxBatchSize: 4, maxBatchTokens: 256 },
    async run(values) {
      served += values.length;
      if (served >= 750) {
        half.resolve();
        await go.promise;
      }
      return values;
    },
  });
  await half.promise;
  const late = await backlog(300, 'late', OTHER);
  const startedBefore = batches.length;
  go.resolve();
  await Promise.all(late.map((entry) => bench.end((entry as { id: string }).id, 'late')));
  const since = batches.slice(startedBefore).flat();
  const until = since.findLastIndex((value) => value >= OTHER) + 1;
  expect(300 / until).toBeGreaterThan(0.45);
  expect(300 / until).toBeLessThan(0.55);
});
