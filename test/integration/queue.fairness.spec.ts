import type { Priority } from '@shoal/contracts';
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
    const { tag } = JSON.parse(data!) as { tag: number };
    chunks.push({ tag, priority: Number(priority), score });
  }
  return chunks;
}

test('a tenant that marks all of its jobs high gets its share and no more, also where others mark none', async () => {
  const bench = await openSmallBatches();
  const jobs = (priority: 'high' | 'normal', from: number) =>
    Array.from({ length: 300 }, (_, n) => bench.job(from + n, { priority, lengths: [64], tenant: priority }));
  await bench.store.submit(jobs('normal', OTHER));
  const high = await bench.store.submit(jobs('high', 1));
  const { batches } = await bench.startWorker({ limits: { maxBatchSize: 4, maxBatchTokens: 256 } });
  await Promise.all(high.map((entry) => bench.end((entry as { id: string }).id, 'high')));
  const until = batches.flat().findLastIndex((value) => value < OTHER) + 1;
  expect(300 / until).toBeGreaterThan(0.45);
  expect(300 / until).toBeLessThan(0.55);
});

test.each([
  ['before its other jobs', ['normal', 'high']],
  ['among its other jobs', ['mixed']],
  ['while its other jobs wait', ['low', 'normal', 'high']],
] as const)("high priority, submitted %s, goes before them within the tenant's share", async (_, kinds) => {
  const bench = await openSmallBatches();
  let next = 1;
  const priorities = new Map<number, Priority>();
  for (const kind of kinds) {
    const jobs = Array.from({ length: 400 }, (_, n) => {
      const priority = kind === 'mixed' ? (['normal', 'high'] as const)[n % 2]! : kind;
      priorities.set(next, priority);
      return bench.job(next++, { priority, lengths: [64], tenant: 'mixed' });
    });
    await bench.store.submit(jobs);
  }
  await bench.store.submit(
    Array.from({ length: 1200 }, (_, n) => bench.job(OTHER + n, { lengths: [64], tenant: 'plain' })),
  );
  const all = deferred();
  let left = next - 1;
  const { batches } = await bench.startWorker({
    limits: { maxBatchSize: 4, maxBatchTokens: 256 },
    async run(values) {
      left -= values.filter((value) => value < OTHER).length;
      if (left === 0) all.resolve();
      return values;
    },
  });
  await all.promise;
  const served = batches.flat();
  const own = served.filter((value) => value < OTHER);
  const highs = [...priorities.values()].filter((priority) => priority === 'high').length;
  // Up to what may run ahead (4,096 tokens, 64 jobs), all of the high ones are first.
  const early = own.slice(0, highs).filter((value) => priorities.get(value) === 'high').length;
  expect(early).toBeGreaterThan(highs - 100);
  const until = served.indexOf(own[highs - 1]!);
  expect(highs / until).toBeGreaterThan(0.42);
  expect(highs / until).toBeLessThan(0.62);
});

test('low priority is served although its tenant never runs out of high ones', async () => {
  const bench = await openSmallBatches();
  const low = await bench.submit(OTHER, { priority: 'low', lengths: [64] });
  const submit = (values: readonly number[]) =>
    bench.store.submit(values.map((value) => bench.job(value, { priority: 'high', lengths: [64] })));
  await submit(Array.from({ length: 200 }, (_, n) => n));
  const ended = deferred();
  await bench.startWorker({
    limits: { maxBatchSize: 4, maxBatchTokens: 256 },
    async run(values) {
      if (values.includes(OTHER)) ended.resolve();
      else await submit(values);
      return values;
    },
  });
  await ended.promise;
  await bench.store.cancel(TENANT, low);
});

/** Until nothing that waits has a priority of the base before. */
async function untilLowered(bench: Bench): Promise<void> {
  await expect
    .poll(() => bench.redis.hmget(`${bench.tag}:state`, 'base', 'shift', 'recheck'))
    .toEqual([expect.not.stringMatching(/^-/), null, null]);
}

test('before priorities run out they start again from 1, and the order stays, also of what comes meanwhile', async () => {
  const bench = await openBench({ redisUrl });
  // As if the queue had not been empty for 64 million tokens.
  await bench.redis.hset(`${bench.tag}:state`, { virtual: 0, base: -1_000_000 * 64 });
  for (let round = 0; round < 14; round++) {
    const jobs = Array.from({ length: 100 }, (_, n) =>
      bench.job(n, { lengths: [1024], tenant: `tenant-${n % 7}`, weight: 1 + (n % 7) }),
    );
    await bench.store.submit(jobs);
  }
  await untilLowered(bench);
  const chunks = await waitingChunks(bench);
  expect(chunks).toHaveLength(1400);
  expect(chunks.map(({ score }) => score)).toEqual(chunks.map(({ priority }) => priority));
  expect(chunks.map(({ score }) => score)).toEqual(chunks.map(({ tag }) => Math.floor(tag / 64) + 1));
});

test('what lies further back than priorities reach holds nobody up, and gets its place once it can', async () => {
  const bench = await openBench({ redisUrl });
  const light = (weight: number) =>
    Array.from({ length: 20 }, () => bench.job(1, { lengths: [1024], tenant: 'light', weight }));
  await bench.store.submit(light(0.0001));
  await bench.submit(2, { lengths: [1024], tenant: 'other' });
  const before = await waitingChunks(bench);
  expect(before.map(({ score }) => score).slice(-7)).toEqual(Array.from({ length: 7 }, () => 2_000_000));
  expect(before.at(1)).toMatchObject({ score: 1 });
  // V has come far.
  await bench.redis.hset(`${bench.tag}:state`, { virtual: 1_500_000 * 64 });
  await expect.poll(() => bench.redis.hget(`${bench.tag}:state`, 'base')).toBe('96000000');
  await untilLowered(bench);
  const chunks = await waitingChunks(bench);
  const expected = chunks.map(({ tag }) => Math.min(2_000_000, Math.max(1, Math.floor((tag - 96_000_000) / 64) + 1)));
  expect(chunks.map(({ score }) => score)).toEqual(expected);
  expect(new Set(expected).size).toBeGreaterThan(5);
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

test('who has many jobs to write is no queue for who has one', async () => {
  const bench = await openBench({ redisUrl });
  const written: string[] = [];
  const submit = async (n: number, tenant: string) => {
    await bench.store.submit([bench.job(n, { tenant })]);
    written.push(tenant);
  };
  await Promise.all([...Array.from({ length: 600 }, (_, n) => submit(n, 'many')), submit(0, 'one')]);
  // With the first commit, which takes 256 jobs.
  expect(written.indexOf('one')).toBeLessThan(256);
});
