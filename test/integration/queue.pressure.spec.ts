import { ShoalError } from '@shoal/contracts';
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test } from 'vitest';
import { ChunkQueue } from '../../libs/queue/dist/chunk-queue.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, openBench, TENANT, uniqueQueue } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

/** The refusal of a job, which must leave nothing behind. */
async function refusal(bench: Bench, tenant: string, length: number): Promise<ShoalError> {
  const idempotency = { key: `${bench.queue}-refused`, fingerprint: 'a' };
  // `commits` goes a moment after what was enqueued.
  const held = async () => [(await bench.keys()).filter((key) => !key.startsWith('commits')), await bench.counters()];
  const before = await held();
  const [refused] = await bench.store.submit([bench.job(9, { tenant, lengths: [length], idempotency })]);
  expect(await held()).toEqual(before);
  expect(await bench.redis.pttl(`shoal:idempotency:{${tenant} ${idempotency.key}}`)).toBeLessThanOrEqual(60_000);
  if (!(refused instanceof ShoalError)) throw new Error('the job was accepted');
  expect(refused.retryAfter).toBeGreaterThanOrEqual(1);
  return refused;
}

test("above a tenant's cap its jobs are refused, and others' are not", async () => {
  const bench = await openBench({ redisUrl, tenantCapTokens: 10 });
  const first = await bench.submit(1, { lengths: [8] });
  await bench.submit(2, { lengths: [2] });
  expect(await refusal(bench, TENANT, 1)).toMatchObject({ code: 'tenant_backlog_full', status: 429 });
  await bench.submit(3, { tenant: 'other', lengths: [10] });
  await bench.store.cancel(TENANT, first);
  await bench.submit(4, { lengths: [8] });
  expect(await bench.counters()).toMatchObject({ outstanding: { [TENANT]: '10', other: '10' } });
});

test("above the queue's cap everybody's jobs are refused", async () => {
  const bench = await openBench({ redisUrl, queueCapTokens: 10 });
  await bench.submit(1, { lengths: [8] });
  expect(await refusal(bench, 'other', 3)).toMatchObject({ code: 'queue_full', status: 429 });
  await bench.submit(1, { tenant: 'other', lengths: [2] });
});

test('a job that is larger than a cap by itself is refused for good, with the setting', async () => {
  const own = await openBench({ redisUrl, tenantCapTokens: 10 });
  const [large] = await own.store.submit([own.job(1, { lengths: [11] })]);
  expect(large).toMatchObject({
    ...{ code: 'invalid_request', status: 422 },
    message:
      'this job alone has 11 tokens, and a caller may have 10 that are unfinished (SHOAL_TENANT_MAX_TOKENS); send it in parts',
  });
  const all = await openBench({ redisUrl, queueCapTokens: 10 });
  const [larger] = await all.store.submit([all.job(1, { lengths: [11] })]);
  expect(larger).toMatchObject({ code: 'invalid_request', message: expect.stringContaining('SHOAL_QUEUE_MAX_TOKENS') });
  expect(await all.counters()).toMatchObject({ jobs: 0 });
});

test('caps hold for jobs that are submitted together', async () => {
  const bench = await openBench({ redisUrl, tenantCapTokens: 10, queueCapTokens: 16 });
  const jobs = [TENANT, TENANT, TENANT, 'other', 'other'].map((tenant, n) => bench.job(n, { tenant }));
  const answers = await bench.store.submit(jobs);
  expect(answers.map((answer) => (answer instanceof ShoalError ? answer.code : 'accepted'))).toEqual([
    'accepted',
    'accepted',
    'tenant_backlog_full',
    'accepted',
    'accepted',
  ]);
  expect(await bench.counters()).toMatchObject({ jobs: 4, tokens: 16 });
});

test('a job whose result would not fit in memory is refused', async () => {
  const bench = await openBench({ redisUrl });
  const [refused] = await bench.store.submit([bench.job(1, { resultBytes: 2 ** 40 })]);
  expect(refused).toMatchObject({ code: 'memory_full', status: 429, retryAfter: 2 });
  expect(await bench.counters()).toMatchObject({ jobs: 0 });
});

test('what is reserved for results counts, until the jobs have ended', async () => {
  const used = Number(/used_memory:(\d+)/.exec(await (await openBench({ redisUrl })).redis.info('memory'))![1]);
  // Room for one and a half of these results beside what other tests have in Redis.
  const resultBytes = 2 ** 36;
  const bench = await openBench({ redisUrl, memoryBudget: (used + 1.5 * resultBytes) / 0.75 });
  const id = await bench.submit(1, { resultBytes });
  expect(await refusalOf(bench, resultBytes)).toBe('memory_full');
  // Looks at Redis replace what was counted here: the reservation must survive that.
  const other = await bench.openStore();
  const [refused] = await other.submit([bench.job(2, { resultBytes })]);
  expect(refused).toMatchObject({ code: 'memory_full' });
  await bench.store.cancel(TENANT, id);
  await expect.poll(() => refusalOf(bench, resultBytes)).toBe('accepted');
});

async function refusalOf(bench: Bench, resultBytes: number): Promise<string> {
  const [answer] = await bench.store.submit([bench.job(2, { resultBytes })]);
  return answer instanceof ShoalError ? answer.code : 'accepted';
}

test('what is admitted and finds no memory to be enqueued in is no refusal: it is enqueued later', async () => {
  const redis = new Redis(await startOwnRedis({ maxmemory: '1' }), { maxRetriesPerRequest: null });
  onTestFinished(() => redis.disconnect());
  const chunks = new ChunkQueue(redis, uniqueQueue());
  const slice = {
    tag: 1,
    priority: 1,
    overtaken: 0,
    alone: false,
    ulid: 'x',
    slice: 0,
    tenant: TENANT,
    rank: 0,
    count: 1,
    tokens: 1,
  };
  await chunks.send('commit', [slice], 10);
  await expect(chunks.resend([{ commit: 'commit', slices: [slice] }], 10)).rejects.toThrow(/OOM/);
  await redis.config('SET', 'maxmemory', '0');
  await chunks.resend([{ commit: 'commit', slices: [slice] }], 10);
  await chunks.close();
});
