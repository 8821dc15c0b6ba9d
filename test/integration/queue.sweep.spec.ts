import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { openBench, TENANT } from '../support/queue-harness.js';

const SCHEDULE = 'shoal:queues:schedule';
const SWEEPER = 'shoal:queues:sweeper';

test('a queue without work is looked at again when something of it expires, and not before', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const time = async () => Number(await bench.redis.zscore(SCHEDULE, bench.queue));
  const kept = await bench.submit(1, { retentionMs: 20_000 });
  expect(await time()).toBeLessThan(0);
  const { expiresAt } = await bench.store.cancel(TENANT, kept);
  await expect.poll(time).toBeGreaterThanOrEqual(expiresAt!);
  // What expires is forgotten, and then there is nothing to look at.
  await expect.poll(() => bench.redis.zscore(SCHEDULE, bench.queue)).toBeNull();
  expect(await bench.redis.zcard(`${bench.tag}:index:${TENANT}`)).toBe(0);
});

test('work that comes to a queue that was left alone is looked after', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  await expect.poll(() => bench.redis.zscore(SCHEDULE, bench.queue)).toBeNull();
  const id = await bench.submit(1, { deadline: { in: 1 } });
  expect(await bench.end(id)).toMatchObject({ state: 'expired' });
});

test('where the replica that sweeps is gone without a word, another one does', async () => {
  const redisUrl = await startOwnRedis();
  const dead = new Redis(redisUrl);
  await dead.set(SWEEPER, 'dead', 'PX', 3000);
  dead.disconnect();
  const bench = await openBench({ redisUrl });
  await bench.openStore();
  const id = await bench.submit(1, { deadline: { in: 1 } });
  expect(await bench.end(id)).toMatchObject({ state: 'expired' });
  expect(await bench.redis.get(SWEEPER)).not.toBe('dead');
});

test('what is enqueued once too often comes in as few chunks, at its own place', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const redis = bench.redis as Redis;
  const chunks = () => redis.zrange(`${bench.tag}:chunks:prioritized`, '0', '-1', 'WITHSCORES');
  await bench.store.submit(Array.from({ length: 100 }, (_, n) => bench.job(n, { lengths: [1024] })));
  await expect.poll(() => redis.hlen(`${bench.tag}:commits`)).toBe(0);
  await bench.store.submit(Array.from({ length: 200 }, (_, n) => bench.job(n)));
  const commits = Object.entries(await redis.hgetallBuffer(`${bench.tag}:commits`));
  expect(commits).toHaveLength(1);
  await expect.poll(() => redis.hlen(`${bench.tag}:commits`)).toBe(0);
  const priorities = (list: readonly string[]) =>
    list.flatMap((score, n) => (n % 2 ? [Math.floor(Number(score) / 2 ** 32)] : []));
  const before = await chunks();
  const last = priorities(before).slice(100);

  // As if the word that they were enqueued had been lost.
  for (const [commit, jobs] of commits) {
    await redis.hset(`${bench.tag}:commits`, commit, jobs);
    await redis.zadd(`${bench.tag}:commits:due`, 1, commit);
  }
  await expect.poll(async () => (await chunks()).length).toBeGreaterThan(before.length);
  await expect.poll(() => redis.hlen(`${bench.tag}:commits`)).toBe(0);
  expect(priorities(await chunks())).toEqual(
    [...priorities(before).slice(0, 100), ...last, ...last].sort((a, b) => a - b),
  );
  expect(last.length).toBeLessThan(10);
});
