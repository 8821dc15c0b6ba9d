import { ShoalError } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, openBench, TENANT, uniqueQueue } from '../support/queue-harness.js';
import { type Run } from '../support/scripted-model.js';

/** Room for about 23 MB of one tenant's jobs and results. */
const SMALL = { memoryBudget: 64 * 1024 * 1024, tenantMemoryShare: 0.5 };
/** Of 400 kB each. */
const large: Run = async (values) =>
  values.map((value) => ({ kind: 'vector', values: new Float32Array(100_000).fill(value), dims: [100_000] }));
const resultBytes = 400_000;

/** Submits and waits, one job after the other, until one is refused; the ids of those that were not. */
async function fill(bench: Bench, options: Parameters<Bench['submit']>[1]): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const [answer] = await bench.store.submit([bench.job(ids.length, { resultBytes, ...options })]);
    if (answer instanceof ShoalError) {
      expect(answer).toMatchObject({ code: 'tenant_memory_full', status: 429, retryAfter: 60 });
      return ids;
    }
    const { id } = answer as { id: string };
    await bench.end(id);
    ids.push(id);
  }
}

const codeOf = (bench: Bench, options: Parameters<Bench['submit']>[1]) =>
  bench.submit(1, options).then(
    () => 'accepted',
    ({ code }: ShoalError) => code,
  );

test('results at rest count: above its share a tenant is refused, others are not, until it deletes some', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis(), ...SMALL });
  await bench.startWorker({ run: large });
  const ids = await fill(bench, {});
  expect(ids.length).toBeGreaterThan(50);
  expect(ids.length).toBeLessThan(70);
  expect(await codeOf(bench, { resultBytes, tenant: 'other' })).toBe('accepted');
  // What is stored is counted, not what was estimated.
  const [held] = Object.values(await bench.redis.hgetall(`${bench.tag}:held`)).map(Number);
  const stored = await Promise.all(ids.map((id) => bench.store.get(TENANT, id)));
  const bytes = stored.reduce((sum, record) => sum + record.resultBytes, 0);
  expect(held).toBeGreaterThan(bytes);
  expect(held).toBeLessThan(bytes + ids.length * 1000);

  for (const id of ids.slice(0, 5)) await bench.store.remove(TENANT, id);
  await expect.poll(() => codeOf(bench, { resultBytes })).toBe('accepted');
});

test('what has expired is held no more', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis(), ...SMALL });
  const { stop } = await bench.startWorker({ run: large });
  await fill(bench, { retentionMs: 8000 });
  await stop();
  await expect.poll(() => codeOf(bench, { resultBytes })).toBe('accepted');
  await expect
    .poll(async () => Number(await bench.redis.hget(`${bench.tag}:held`, TENANT)))
    .toBeLessThan(2 * resultBytes);
});

test('the share is one over all queues', async () => {
  const queues = [uniqueQueue(), uniqueQueue()];
  const bench = await openBench({ redisUrl: await startOwnRedis(), queues, ...SMALL });
  await bench.startWorker({ run: large });
  await fill(bench, {});
  const there = { queue: queues[1]!, resultBytes };
  await expect.poll(() => codeOf(bench, there)).toBe('tenant_memory_full');
  expect(await codeOf(bench, { ...there, tenant: 'other' })).toBe('accepted');
});

test('Idempotency-Keys count for as long as they stand, which is longer than the results do', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const retentionMs = 30 * 24 * 3600_000;
  const idempotency = { key: 'k'.repeat(100), fingerprint: 'a' };
  const id = await bench.submit(1, { idempotency, retentionMs });
  const ttl = await bench.redis.pttl(`shoal:idempotency:{${TENANT} ${idempotency.key}}`);
  expect(ttl).toBeGreaterThan(retentionMs);
  await bench.store.remove(TENANT, id);
  expect(await bench.redis.hgetall(`${bench.tag}:held`)).toEqual({ [TENANT]: '400' });
  const [entry, at] = await bench.redis.zrange(`${bench.tag}:forget`, '0', '-1', 'WITHSCORES');
  expect(entry).toMatch(/^400 key /);
  expect(Math.abs(Number(at) - Date.now() - ttl)).toBeLessThan(60_000);
});
