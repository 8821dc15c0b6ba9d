import { parseJobId } from '@shoal/queue';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { type Bench, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');
const ALL = { started: true, output: true, ended: true };

/** What the outbox holds of a job: kind and number. */
async function events(bench: Bench, id: string): Promise<string[]> {
  const entries = await bench.redis.xrange(`${bench.tag}:outbox`, '-', '+');
  return entries.flatMap(([, fields]) => {
    const entry = Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : [])));
    expect(entry.tenant).toBe(TENANT);
    expect(Number(entry.at)).toBeGreaterThan(1_700_000_000_000);
    return entry.job === parseJobId(id)!.ulid ? [`${entry.seq} ${entry.type}`] : [];
  });
}

test('a job whose events are heard leaves them in the outbox, numbered, outputs at most every few seconds', async () => {
  const bench = await openBench({ redisUrl });
  const news: string[] = [];
  const subscriber = new Redis(redisUrl);
  subscriber.on('message', (_channel: string, queue: string) => news.push(queue));
  await subscriber.subscribe('shoal:outbox');
  const id = await bench.submit([1, 2, 3, 4, 5, 6], { webhookEvents: ALL });
  await bench.startWorker({ limits: { maxBatchSize: 1 } });
  await bench.end(id);
  expect(await events(bench, id)).toEqual(['1 started', '2 output', '3 completed']);
  expect(new Set(news)).toEqual(new Set([bench.queue]));
  subscriber.disconnect();
});

test('every way to end is told once, and only to whom it concerns', async () => {
  const bench = await openBench({ redisUrl });
  const cancelled = await bench.submit(1, { webhookEvents: ALL });
  await Promise.all([bench.store.cancel(TENANT, cancelled), bench.store.cancel(TENANT, cancelled)]);
  const deleted = await bench.submit(2, { webhookEvents: ALL });
  await bench.store.remove(TENANT, deleted);
  const expired = await bench.submit(3, { webhookEvents: ALL, deadline: { in: 1 } });
  expect((await bench.end(expired)).state).toBe('expired');
  const failed = await bench.submit(4, { webhookEvents: { ...ALL, started: false } });
  const unheard = await bench.submit(5);
  await bench.startWorker({ run: async (values) => values.map(() => new Error('not possible')) });
  await Promise.all([bench.end(failed), bench.end(unheard)]);
  expect(await events(bench, cancelled)).toEqual(['1 cancelled']);
  expect(await events(bench, deleted)).toEqual(['1 cancelled']);
  expect(await events(bench, expired)).toEqual(['1 expired']);
  expect(await events(bench, failed)).toEqual(['1 failed']);
  expect(await events(bench, unheard)).toEqual([]);
});

test('the queues that have an outbox are known by name', async () => {
  const bench = await openBench({ redisUrl });
  expect(await bench.redis.sismember('shoal:queues', bench.queue)).toBe(1);
});
