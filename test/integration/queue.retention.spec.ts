import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

/** What a queue keeps for ever, however many jobs it has seen: its counters, its limits, and BullMQ's own. */
const LASTING = ['chunks:events', 'chunks:id', 'chunks:meta', 'limits', 'state'];
/** BullMQ's, gone by themselves or rewritten in place. */
const PASSING = ['chunks:marker', 'chunks:pc', 'chunks:stalled', 'chunks:stalled-check'];
/** What Idempotency-Keys take is counted for as long as they stand. */
const OF_KEYS = ['forget', 'held'];

test('an ended job is forgotten after its retention, which counts from its end', async () => {
  const bench = await openBench({ redisUrl, retentionMs: 1500 });
  const id = await bench.submit(1);
  expect(await bench.redis.pttl(bench.recordKey(id))).toBe(-1);
  const record = await bench.store.cancel(TENANT, id);
  expect(record.expiresAt).toBe(record.endedAt! + 1500);
  await expect.poll(() => bench.redis.exists(bench.recordKey(id))).toBe(0);
  await expect(bench.store.get(TENANT, id)).rejects.toMatchObject({ code: 'job_not_found' });
});

test('when all jobs have ended and are forgotten, only the few keys of the queue itself remain', async () => {
  const bench = await openBench({ redisUrl, retentionMs: 1000 });
  const { stop } = await bench.startWorker({
    run: async (values) => values.map((value) => (value === 13 ? new Error('unlucky') : value)),
  });
  const completed = Array.from({ length: 50 }, (_, n) =>
    bench.submit([n, 13], { tenant: `tenant-${n % 5}`, idempotency: { key: `${bench.queue} ${n}`, fingerprint: 'a' } }),
  );
  await Promise.all((await Promise.all(completed)).map((id, n) => bench.end(id, `tenant-${n % 5}`)));
  await bench.end(await bench.submit(13));
  await stop();
  await bench.store.cancel(TENANT, await bench.submit(1));
  await bench.store.remove(TENANT, await bench.submit(2));
  await bench.end(await bench.submit(3, { deadline: { in: 10 } }));
  // The chunks of jobs that ended without a worker go when one finds nothing to do for them.
  const idle = await bench.startWorker();
  const jobKeys = async () => (await bench.keys()).filter((key) => ![...LASTING, ...PASSING, ...OF_KEYS].includes(key));
  await expect.poll(jobKeys).toEqual([]);
  await idle.stop();
  expect(idle.batches).toEqual([]);

  const entries = await bench.redis.zrange(`${bench.tag}:forget`, '0', '-1');
  expect(entries.map((entry) => entry.split(' ')[1])).toEqual(completed.map(() => 'key'));
  const held = Object.fromEntries([0, 1, 2, 3, 4].map((n) => [`tenant-${n}`, `${heldByKeys(bench.queue, n)}`]));
  expect(await bench.redis.hgetall(`${bench.tag}:held`)).toEqual(held);

  const keys = (await bench.keys()).filter((key) => !OF_KEYS.includes(key));
  expect(keys.filter((key) => !PASSING.includes(key))).toEqual(LASTING);
  expect(await bench.redis.xlen(`${bench.tag}:chunks:events`)).toBeLessThan(200);
  const counters = [
    'arrived',
    'arriving',
    'cancelled',
    'completed',
    'expired',
    'failed',
    'jobs',
    'reserved',
    'served',
    'tokens',
  ];
  expect(Object.keys(await bench.redis.hgetall(`${bench.tag}:state`)).toSorted()).toEqual(counters);
  // Each job's end is counted once, by how it ended. Unlucky ones: 13, and the array [13, 13]. A deleted job is a cancelled one.
  const ended = { completed: 49, failed: 2, cancelled: 2, expired: 1 };
  await expect.poll(() => bench.store.depths()).toEqual([{ queue: bench.queue, jobs: 0, tokens: 0, ended }]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  const ttl = await bench.redis.ttl(`shoal:idempotency:{tenant-0 ${bench.queue} 0}`);
  expect(ttl).toBeGreaterThan(23 * 3600);
});

/** Of a fifth of 50 keys: 300 bytes each, and their own length. */
function heldByKeys(queue: string, tenant: number): number {
  const keys = Array.from({ length: 50 }, (_, n) => `${queue} ${n}`).filter((_, n) => n % 5 === tenant);
  return keys.reduce((sum, key) => sum + 300 + key.length, 0);
}

test('a job says how long it is kept, however it ends', async () => {
  const bench = await openBench({ redisUrl, retentionMs: 60_000 });
  await bench.startWorker();
  const kept = await bench.submit(1, { retentionMs: 7200_000 });
  await bench.end(kept);
  const cancelled = await bench.submit(2, { retentionMs: 3600_000, deadline: { in: 1 } });
  await bench.end(cancelled);
  const keptFor = async (id: string) => Math.round((await bench.redis.pttl(bench.recordKey(id))) / 3600_000);
  expect([await keptFor(kept), await keptFor(cancelled)]).toEqual([2, 1]);
});
