import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startLastingRedis } from '../support/lasting-redis.js';
import { openBench, TENANT } from '../support/queue-harness.js';

/** A Redis and a replica of it that has caught up. */
async function startPair() {
  const primary = await startLastingRedis();
  const replica = await startLastingRedis({ replicaof: `127.0.0.1 ${new URL(primary.url).port}` });
  return { primary, replica };
}

const replication = { minReplicas: 1, timeoutMs: 200 };
const key = (n: number) => ({ key: `key-${n}`, fingerprint: 'f' });

test('a job is acknowledged when a replica has it, and refused with its place kept while none confirms', async () => {
  const { primary, replica } = await startPair();
  const bench = await openBench({ redisUrl: primary.url, replication });
  const synced = async () => /state=online/.test(await bench.redis.info('replication'));
  await expect.poll(synced).toBe(true);
  const first = await bench.submit(1, { idempotency: key(1) });
  replica.freeze();
  const [refused] = await bench.store.submit([bench.job(2, { idempotency: key(2) })]);
  expect(refused).toMatchObject({ code: 'not_replicated', status: 503 });
  // Repeated while the replica is away: still no acknowledgement. Once it is back: the same job, made once.
  const [again] = await bench.store.submit([bench.job(2, { idempotency: key(2) })]);
  expect(again).toMatchObject({ code: 'not_replicated' });
  replica.thaw();
  const repeat = () => bench.store.submit([bench.job(2, { idempotency: key(2) })]);
  await expect.poll(async () => (await repeat())[0]).toMatchObject({ created: false });
  expect((await bench.store.list(TENANT, { limit: 10 })).records).toHaveLength(2);
  await bench.startWorker();
  await bench.end(first);
});

test('no acknowledged job is lost when the primary dies while its replica lags', async () => {
  const { primary, replica } = await startPair();
  const bench = await openBench({ redisUrl: primary.url, replication });
  await expect.poll(async () => /state=online/.test(await bench.redis.info('replication'))).toBe(true);
  const acknowledged: string[] = [];
  let unsure = 0;
  let stop = false;
  const callers = Array.from({ length: 16 }, async () => {
    while (!stop) {
      const [admitted] = await bench.store.submit([bench.job(1)]);
      if (admitted instanceof Error) unsure++;
      else acknowledged.push(admitted!.id);
    }
  });
  await expect.poll(() => acknowledged.length).toBeGreaterThan(500);
  replica.freeze();
  await expect.poll(() => unsure).toBeGreaterThan(16);
  stop = true;
  await primary.crash();
  await Promise.all(callers);
  replica.thaw();
  const promoted = new Redis(replica.url);
  await promoted.replicaof('NO', 'ONE');
  const found = await Promise.all(acknowledged.map((id) => promoted.exists(bench.recordKey(id))));
  promoted.disconnect();
  expect(found.filter((there) => there === 0)).toEqual([]);
  expect(unsure).toBeGreaterThan(0);
});
