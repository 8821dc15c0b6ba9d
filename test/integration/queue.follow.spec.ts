import type { JobProgress } from '@shoal/queue';
import { expect, inject, test, vi } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { deferred, FOREVER, openBench, TENANT, uniqueQueue } from '../support/queue-harness.js';
import { numberOf, resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
const START = { parts: 0, pieces: 0 };
const never = new AbortController().signal;

/** Every look until the job has ended. */
async function collect(looks: AsyncGenerator<JobProgress, void>): Promise<JobProgress[]> {
  const all: JobProgress[] = [];
  for await (const look of looks) all.push(look);
  return all;
}

const scores = (looks: readonly JobProgress[]) =>
  looks.flatMap(({ parts }) =>
    parts.map(({ seq, index, result }) => [seq, index, result.output?.kind === 'score' ? result.output.score : null]),
  );

test('a follower on another replica is told of the start, of every output once, and of the end', async () => {
  const bench = await openBench({ redisUrl });
  const replica = await bench.openStore();
  const values = Array.from({ length: 300 }, (_, n) => n);
  const id = await bench.submit(values, { lengths: values.map((n) => 1 + ((n * 7) % 40)) });
  const looks = replica.follow(TENANT, id, START, never);
  expect((await looks.next()).value).toMatchObject({ record: { state: 'queued' }, parts: [] });
  await bench.startWorker({ limits: { maxBatchSize: 8 } });
  const all = await collect(looks);
  expect(all[0]!.record.state).toBe('running');
  expect(all.at(-1)!.record).toMatchObject({ state: 'completed', done: 300 });
  const seen = scores(all);
  expect(seen.map(([seq]) => seq)).toEqual(values.map((n) => n + 1));
  expect(seen.map(([, index]) => index).sort((a, b) => a! - b!)).toEqual(values);
  expect(seen.every(([, index, score]) => score === 2 * index!)).toBe(true);
  // Read again from any place, also in the middle of what was published together, it is the same.
  for (const after of [0, 1, 7, 63, 64, 299, 300]) {
    expect(scores(await collect(replica.follow(TENANT, id, { parts: after, pieces: 0 }, never)))).toEqual(
      seen.slice(after),
    );
  }
});

test('a replica that follows a job hears of its queue only, until nobody follows any more', async () => {
  const queues = [uniqueQueue(), uniqueQueue()];
  const bench = await openBench({ redisUrl, queues });
  const listeners = () => bench.redis.call('PUBSUB', 'NUMSUB', ...queues.map((queue) => `shoal:moved:${queue}`));
  const followed = await bench.submit(1);
  const looks = [0, 1].map(() => bench.store.follow(TENANT, followed, START, never));
  for (const look of looks) await look.next();
  expect(await listeners()).toEqual([`shoal:moved:${queues[0]}`, 1, `shoal:moved:${queues[1]}`, 0]);
  await looks[0]!.return();
  expect(await listeners()).toEqual([`shoal:moved:${queues[0]}`, 1, `shoal:moved:${queues[1]}`, 0]);
  await looks[1]!.return();
  await expect.poll(listeners).toEqual([`shoal:moved:${queues[0]}`, 0, `shoal:moved:${queues[1]}`, 0]);
});

test('many followers of one job are all told of everything', async () => {
  const bench = await openBench({ redisUrl });
  const values = Array.from({ length: 50 }, (_, n) => n);
  const id = await bench.submit(values);
  const followers = values.slice(0, 5).map(() => bench.store.follow(TENANT, id, START, never));
  await Promise.all(followers.map((looks) => looks.next()));
  const all = Promise.all(followers.map(collect));
  await bench.startWorker({ limits: { maxBatchSize: 2 } });
  for (const looks of await all) expect(scores(looks)).toHaveLength(50);
});

test('a look holds no more than a page, and the next is read when it is asked for', async () => {
  const bench = await openBench({ redisUrl });
  const values = Array.from({ length: 200 }, (_, n) => n);
  const id = await bench.submit(values, { lengths: values.map((n) => 1 + n) });
  await bench.startWorker({ limits: { maxBatchSize: 1 } });
  await bench.end(id);
  const looks = await collect(bench.store.follow(TENANT, id, START, never));
  expect(looks.map(({ parts }) => parts.length)).toEqual([64, 64, 64, 8]);
});

test('the end of a single job comes with its result', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(21);
  await bench.startWorker();
  const looks = await collect(bench.store.follow(TENANT, id, START, never));
  expect(looks.at(-1)!.record).toMatchObject({ state: 'completed', results: [{ output: { score: 42 } }] });
});

test('a job that another tenant follows is not there, and one that is deleted ends its followers', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit([1, 2]);
  await expect(bench.store.follow('other', id, START, never).next()).rejects.toMatchObject({ code: 'job_not_found' });
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  const end = collect(looks);
  await bench.store.remove(TENANT, id);
  await expect(end).rejects.toMatchObject({ code: 'job_not_found' });
  expect((await bench.keys()).filter((key) => key.startsWith('job') || key.startsWith('parts'))).toEqual([]);
});

/** What comes next where no word comes for 30 s. */
function nextAfterSilence(looks: AsyncGenerator<JobProgress, void>) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const next = looks.next();
    vi.advanceTimersByTime(30_000);
    return next;
  } finally {
    vi.useRealTimers();
  }
}

test('a follower notices by itself that its job has vanished', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const id = await bench.submit([1, 2]);
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  await bench.redis.flushall();
  await expect(nextAfterSilence(looks)).rejects.toMatchObject({ code: 'job_not_found' });
});

test('a look without news is kept to itself', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit([1, 2]);
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  const next = nextAfterSilence(looks);
  // Sent on the follower's connection: the second is answered after its look.
  await bench.store.get(TENANT, id);
  await bench.store.get(TENANT, id);
  await bench.startWorker();
  expect((await next).value).not.toMatchObject({ record: { state: 'queued' } });
});

test('a follower stops when its signal aborts', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit([1, 2]);
  const stop = new AbortController();
  const looks = bench.store.follow(TENANT, id, START, stop.signal);
  await looks.next();
  const next = looks.next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});

test('an output that is published again after its worker died comes once', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit([5, 6, 7]);
  const holder = bench.startHolder();
  const claims = await holder.claims.next(3);
  const items = claims.map(({ item }) => item);
  await holder.publisher.begin(items);
  await holder.publisher.publish([{ item: items[1]!, result: resultOf(12) }]);
  await bench.loseLock(claims[0]!);
  const again = (await holder.claims.next(2)).map(({ item }) => item);
  expect(again.map(({ n }) => n)).toEqual([0, 2]);
  await holder.publisher.begin(again);
  // Who lost the lock adds nothing, and who has it adds each item once.
  await holder.publisher.publish(items.map((item) => ({ item, result: resultOf(99) })));
  await holder.publisher.publish(again.map((item) => ({ item, result: resultOf(2 * numberOf(item)) })));
  await holder.publisher.publish(again.map((item) => ({ item, result: resultOf(98) })));
  const looks = await collect(bench.store.follow(TENANT, id, START, never));
  expect(scores(looks)).toEqual([
    [1, 1, 12],
    [2, 0, 10],
    [3, 2, 14],
  ]);
});

test('a follower goes on when Redis is back', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const id = await bench.submit([1, 2, 3]);
  const looks = bench.store.follow(TENANT, id, START, never);
  await looks.next();
  const rest = collect(looks);
  await bench.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await bench.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await bench.startWorker();
  expect(scores(await rest)).toHaveLength(3);
});

test('the parts of an ended job expire with its record', async () => {
  const bench = await openBench({ redisUrl });
  const ran = deferred();
  const id = await bench.submit([1, 2, 3], { lengths: [1, 1, 500], retentionMs: 90_000 });
  await bench.startWorker({
    limits: { maxBatchSize: 2, maxBatchTokens: 500, passTokens: 1 },
    run: async (values) => {
      if (values.includes(3)) await ran.promise;
      return values.map((value) => value);
    },
  });
  await expect.poll(async () => (await bench.store.get(TENANT, id)).done, { timeout: FOREVER }).toBe(2);
  const parts = bench.recordKey(id).replace(':job:', ':parts:');
  expect([await bench.redis.xlen(parts), await bench.redis.pttl(parts)]).toEqual([1, -1]);
  ran.resolve();
  await bench.end(id);
  const [ttl, own] = [await bench.redis.pttl(parts), await bench.redis.pttl(bench.recordKey(id))];
  expect(ttl).toBeGreaterThan(60_000);
  expect(Math.abs(ttl - own)).toBeLessThan(50);
});
