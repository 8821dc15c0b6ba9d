import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { double, outcomes } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a worker whose engine has no room holds no chunk that another could run', async () => {
  const bench = await openBench({ redisUrl });
  let items = 1;
  const { claims } = bench.startHolder(() => ({ items, tokens: 1000 }));
  await bench.submit(0);
  const [first] = await claims.next(1);
  items = 0;
  const ids = [];
  for (let n = 1; n <= 5; n++) ids.push(await bench.submit(n));
  // Another worker gets all of them, since the full one has taken none.
  const { batches, stop } = await bench.startWorker();
  for (const id of ids) expect(outcomes(await bench.end(id))).toHaveLength(1);
  expect(batches.flat().toSorted()).toEqual([1, 2, 3, 4, 5]);
  await stop();
  // With room again it goes on, by itself where the end of a chunk makes the room.
  const next = await bench.submit(6);
  items = 1;
  first!.settle({ kind: 'done' });
  expect((await claims.next(1))[0]!.item.jobId).toBe(next);
});

test('a worker that waits for work takes as many chunks as it has room for, and no more', async () => {
  const bench = await openBench({ redisUrl });
  const { claims } = bench.startHolder((taken) => ({ items: 3 - taken, tokens: 1000 }));
  for (let n = 0; n < 6; n++) await bench.submit(n);
  await claims.next(3);
  expect(await bench.redis.zcard(`${bench.tag}:chunks:prioritized`)).toBe(3);
  expect(await bench.redis.llen(`${bench.tag}:chunks:active`)).toBe(3);
});

test('a worker without room fetches what comes before all that waits in it, and nothing else', async () => {
  const bench = await openBench({ redisUrl });
  let [items, looks, preceded] = [1, 0, false];
  const { claims } = bench.startHolder(
    () => ({ items, tokens: 1000 }),
    () => {
      looks++;
      return preceded;
    },
  );
  await bench.submit(0);
  await claims.next(1);
  items = 0;
  const id = await bench.submit(1);
  looks = 0;
  await expect.poll(() => looks).toBeGreaterThan(2);
  expect(await bench.redis.zcard(`${bench.tag}:chunks:prioritized`)).toBe(1);
  preceded = true;
  expect((await claims.next(1))[0]!.item.jobId).toBe(id);
});

test('where small chunks come among large ones, room is counted in large ones', async () => {
  const bench = await openBench({ redisUrl });
  const large = Array.from({ length: 16 }, (_, n) => n);
  const room = 40;
  let [open, before] = [true, 0];
  const { claims } = bench.startHolder((taken) => ({ items: open ? room - (taken - before) : 0, tokens: 1e6 }));
  await bench.submit(large);
  await claims.next(16);
  for (let n = 0; n < 3; n++) {
    await bench.submit(n);
    await claims.next(1);
    before = claims.count;
  }
  open = false;
  for (let n = 0; n < 12; n++) await bench.submit(large);
  open = true;
  await claims.next(room);
  expect(claims.count - before).toBeLessThanOrEqual(room + 2 * large.length);
});

test('a Redis that has reached maxmemory is worked empty, item by item', async () => {
  const url = await startOwnRedis({ 'maxmemory-policy': 'noeviction' });
  const bench = await openBench({ redisUrl: url });
  const ids = [];
  for (let n = 0; n < 20; n++) ids.push(await bench.submit([n, n + 1]));
  const redis = new Redis(url);
  onTestFinished(() => redis.disconnect());
  await redis.config('SET', 'maxmemory', '1mb');
  await expect(redis.set('another', 'x')).rejects.toThrow(/OOM/);
  await bench.startWorker({ run: double });
  for (const [n, id] of ids.entries()) expect(outcomes(await bench.end(id))).toEqual([2 * n, 2 * n + 2]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  // What was tried above, and what a worker tells of itself at its start.
  const [, refused] = /errorstat_OOM:count=(\d+)/.exec(await redis.info('errorstats'))!;
  expect(Number(refused)).toBeLessThan(5);
});

test('work is found though BullMQ waits for it for ever', async () => {
  const prototype = Worker.prototype as unknown as { waitForJob(): Promise<number> };
  const waits = vi.spyOn(prototype, 'waitForJob').mockReturnValue(new Promise(() => {}));
  onTestFinished(() => waits.mockRestore());
  const bench = await openBench({ redisUrl });
  await bench.startWorker({ run: double });
  await expect.poll(() => waits.mock.calls.length).toBeGreaterThan(0);
  for (const n of [1, 2]) expect(outcomes(await bench.end(await bench.submit(n)))).toEqual([2 * n]);
});

test('a worker whom Redis refuses asks less and less often, and works again when it may', async () => {
  const url = await startOwnRedis();
  const redis = new Redis(url);
  onTestFinished(() => redis.disconnect());
  const allow = (rule: string) => redis.call('ACL', 'SETUSER', 'worker', rule);
  for (const rule of ['on', 'nopass', 'allkeys', 'allchannels', '+@all']) await allow(rule);
  const bench = await openBench({ redisUrl: url, workerUrl: url.replace('//', '//worker:any@') });
  await bench.startWorker();
  await bench.end(await bench.submit(1));
  await redis.config('RESETSTAT');
  const began = Date.now();
  await allow('-evalsha');
  await allow('-eval');
  const id = await bench.submit(2);
  const refused = async () => Number(/errorstat_NOPERM:count=(\d+)/.exec(await redis.info('errorstats'))?.[1] ?? 0);
  await expect.poll(refused).toBeGreaterThanOrEqual(10);
  // 50 ms, doubling: this many take that long, with one look for stalled chunks every two seconds.
  expect(Date.now() - began).toBeGreaterThan(1500);
  await allow('+@all');
  expect(outcomes(await bench.end(id))).toEqual([4]);
});
