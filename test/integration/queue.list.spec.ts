import type { JobFilter, OpenJobStore } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { openBench, TENANT, uniqueQueue } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

/** Every page of a list, as lists of ids. */
async function pages(store: OpenJobStore, filter: JobFilter): Promise<string[][]> {
  const found: string[][] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const { records, next } = await store.list(TENANT, { ...filter, ...(cursor && { cursor }) });
    found.push(records.map(({ id }) => id));
    cursor = next;
  }
  return found.filter((page) => page.length > 0);
}

/** Jobs of two queues in turn, the newest last. */
async function openTwoQueues(count: number) {
  const queues = [uniqueQueue(), uniqueQueue()];
  let now = Date.now();
  const bench = await openBench({ redisUrl, queues, clock: () => now++ });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await bench.submit(n, { queue: queues[n % 2]! }));
  return { bench, ids, queues };
}

test('jobs are listed newest first over all queues, page by page', async () => {
  const { bench, ids } = await openTwoQueues(10);
  const newest = ids.toReversed();
  expect(await pages(bench.store, { limit: 3 })).toEqual([
    newest.slice(0, 3),
    newest.slice(3, 6),
    newest.slice(6, 9),
    newest.slice(9),
  ]);
  expect(await pages(bench.store, { limit: 5 })).toEqual([newest.slice(0, 5), newest.slice(5)]);
  expect(await pages(bench.store, { limit: 100 })).toEqual([newest]);
});

test('a list is filtered by state and by model, with full pages', async () => {
  const { bench, ids, queues } = await openTwoQueues(12);
  const cancelled = ids.filter((_, n) => n % 4 === 0);
  for (const id of cancelled) await bench.store.cancel(TENANT, id);
  expect(await pages(bench.store, { limit: 2, status: 'cancelled' })).toEqual([
    [cancelled[2], cancelled[1]],
    [cancelled[0]],
  ]);
  const model = queues[1]!.split('.')[0]!;
  const second = ids.filter((_, n) => n % 2 === 1).toReversed();
  expect(await pages(bench.store, { limit: 4, model })).toEqual([second.slice(0, 4), second.slice(4)]);
  expect(await pages(bench.store, { limit: 4, model, status: 'cancelled' })).toEqual([]);
  expect(await pages(bench.store, { limit: 4, model: 'unknown' })).toEqual([]);
});

test('a listed job comes without its results; the error of a single item is its own', async () => {
  const bench = await openBench({ redisUrl });
  await bench.startWorker({ run: async (values) => values.map((value) => (value === 7 ? new Error('seven') : value)) });
  for (const values of [[1, 2], 7]) await bench.end(await bench.submit(values));
  const { records } = await bench.store.list(TENANT, { limit: 2 });
  expect(records.map(({ results }) => results)).toEqual([[null], [null, null]]);
  expect(records).toMatchObject([
    { state: 'failed', error: { code: 'inference_failed' } },
    { state: 'completed', total: 2, done: 2, error: null },
  ]);
});

test('a page is found by a bounded number of looks, and the next call goes on where they ended', async () => {
  const bench = await openBench({ redisUrl });
  const oldest = await bench.submit(1);
  await bench.store.cancel(TENANT, oldest);
  // Entries of records that have expired: nothing of them matches.
  const gone = Array.from({ length: 10_000 }, (_, n) => `7${String(n).padStart(25, '0')}`);
  await bench.redis.zadd(`${bench.tag}:index:${TENANT}`, ...gone.flatMap((ulid) => [0, ulid]));
  const first = await bench.store.list(TENANT, { limit: 1, status: 'cancelled' });
  expect(first.records).toEqual([]);
  expect(first.next).not.toBeNull();
  expect(gone.length - gone.indexOf(first.next!)).toBeLessThan(5000);
  expect(await pages(bench.store, { limit: 1, status: 'cancelled' })).toEqual([[oldest]]);
});

test('nobody looks for a caller who has gone', async () => {
  const { bench } = await openTwoQueues(4);
  const page = await bench.store.list(TENANT, { limit: 2, status: 'failed' }, AbortSignal.abort());
  expect(page.records).toEqual([]);
});

test.each(['zzz', '01ARZ3NDEKTSV4RRFFQ69G5FAV', '', '0 0'])('%j is no cursor', async (cursor) => {
  const bench = await openBench({ redisUrl });
  const list = bench.store.list(TENANT, { limit: 1, cursor });
  await expect(list).rejects.toMatchObject({ code: 'invalid_request', faults: [{ path: 'cursor' }] });
});
