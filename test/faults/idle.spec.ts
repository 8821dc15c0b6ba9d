/** What a deployment with many models costs Redis while nobody asks for anything. */
import { openWebhookStore } from '@shoal/queue';
import type { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { openBench, uniqueQueue } from '../support/queue-harness.js';
import { scenario, sized } from './scenario.js';

const QUEUES = 150;
const REPLICAS = 3;
const MOST_PER_SECOND = 100;

scenario(`${QUEUES} queues without work, ${REPLICAS} API replicas`, async (row) => {
  const redisUrl = await startOwnRedis();
  const queues = Array.from({ length: QUEUES }, uniqueQueue);
  const bench = await openBench({ redisUrl, queues });
  const redis = bench.redis as Redis;
  for (let n = 1; n < REPLICAS; n++) await bench.openStore();
  for (let n = 0; n < REPLICAS; n++) {
    const webhooks = await openWebhookStore({ redisUrl, clock: Date.now, onError: () => undefined });
    onTestFinished(() => webhooks.close());
  }
  // Each queue has had work, and keeps what came of it.
  for (const queue of queues) await bench.store.cancel('acme', await bench.submit(1, { queue, retentionMs: 3600_000 }));
  await expect
    .poll(() => redis.zcount('shoal:queues:schedule', '-inf', Date.now()), { timeout: 60_000, interval: 500 })
    .toBe(0);
  // Gauges look once more at what had work, all queues at once: until a second has no more than the looks at idle ones.
  let looks = Number.NEGATIVE_INFINITY;
  const looksSince = async () => {
    const before = looks;
    looks = Number(/^cmdstat_hmget:calls=(\d+)/m.exec(await redis.info('commandstats'))?.[1]);
    return looks - before;
  };
  await expect.poll(looksSince, { timeout: 60_000, interval: 1000 }).toBeLessThanOrEqual(2 * REPLICAS);

  await redis.config('RESETSTAT');
  const seconds = sized(30, 5);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const stats = await redis.info('commandstats');
  const calls = [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name, count]) => ({
    name: name!,
    perSecond: Number(count) / seconds,
  }));
  const total = calls.reduce((sum, { perSecond }) => sum + perSecond, 0);
  const most = calls.toSorted((a, b) => b.perSecond - a.perSecond).slice(0, 5);
  row.jobs = QUEUES;
  row.load = `${QUEUES} queues, watched for ${seconds} s`;
  row.note = `${total.toFixed(0)} commands/s: ${most.map(({ name, perSecond }) => `${name} ${perSecond.toFixed(0)}`).join(', ')}`;
  expect(total).toBeLessThanOrEqual(MOST_PER_SECOND);
});
