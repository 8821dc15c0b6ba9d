import { isTerminal } from '@shoal/contracts';
import type { Admitted } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { deferred, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { outcomes } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a job cancelled while it waits never runs', async () => {
  const bench = await openBench({ redisUrl });
  const cancelled = await bench.submit(1);
  const kept = await bench.submit(2);
  expect(await bench.store.cancel(TENANT, cancelled)).toMatchObject({
    state: 'cancelled',
    error: { code: 'cancelled' },
  });
  expect(await bench.counters()).toMatchObject({ jobs: 1, tokens: 4 });
  const { batches, stop } = await bench.startWorker();
  await bench.end(kept);
  await stop();
  expect(batches).toEqual([[2]]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a job cancelled while it waits in a worker never runs', async () => {
  const bench = await openBench({ redisUrl });
  const started = deferred();
  const finish = deferred();
  const { batches, stop } = await bench.startWorker({
    limits: { maxBatchSize: 1 },
    async run([value]) {
      if (value === 1) {
        started.resolve();
        await finish.promise;
      }
      return [0];
    },
  });
  const first = await bench.submit([1, 2, 3]);
  await started.promise;
  await bench.store.cancel(TENANT, first);
  const second = await bench.submit(4);
  finish.resolve();
  await bench.end(second);
  await stop();
  expect(batches).toEqual([[1], [4]]);
});

test('a worker that holds a job is told when it is cancelled or deleted', async () => {
  const bench = await openBench({ redisUrl });
  const { claims } = bench.startHolder();
  for (const end of ['cancel', 'remove'] as const) {
    const id = await bench.submit(1);
    const [claim] = await claims.next(1);
    const told = new Promise<void>((resolve) => {
      claim!.item.dropped.onAbort = resolve;
    });
    await bench.store[end](TENANT, id);
    await told;
  }
});

test('a job cancelled while it runs is cancelled at once, and its result is dropped', async () => {
  const bench = await openBench({ redisUrl });
  const started = deferred();
  const finish = deferred();
  const { stop } = await bench.startWorker({
    async run(values) {
      started.resolve();
      await finish.promise;
      return values;
    },
  });
  const id = await bench.submit([1, 2]);
  await started.promise;
  expect(await bench.store.get(TENANT, id)).toMatchObject({ state: 'running' });
  const cancelled = await bench.store.cancel(TENANT, id);
  expect(cancelled.state).toBe('cancelled');
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  finish.resolve();
  await stop();
  expect(await bench.store.get(TENANT, id)).toEqual(cancelled);
  expect(outcomes(cancelled)).toEqual([null, null]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('cancelling and publishing at the same time end a job once, 200 times over', async () => {
  const bench = await openBench({ redisUrl });
  const endings = await bench.countEndings();
  const ids: string[] = [];
  const cancels: Promise<unknown>[] = [];
  const jobs = Array.from({ length: 400 }, (_, n) => bench.job(n));
  ids.push(...(await bench.store.submit(jobs)).map((entry) => (entry as Admitted).id));
  const worker = await bench.startWorker({
    limits: { maxBatchSize: 4 },
    // The call to cancel and the publishing that follows this pass leave on two connections in the same turn.
    async run(values) {
      for (const value of values) if (value % 2) cancels.push(bench.store.cancel(TENANT, ids[value]!));
      return values;
    },
  });
  const seen = await Promise.all(ids.map((id) => bench.end(id)));
  await Promise.all(cancels);
  await worker.stop();
  expect(cancels).toHaveLength(200);
  for (const [n, before] of seen.entries()) {
    const after = await bench.store.get(TENANT, ids[n]!);
    expect(after).toEqual(before);
    expect(isTerminal(after.state)).toBe(true);
    expect(outcomes(after)).toEqual([after.state === 'completed' ? n : null]);
  }
  expect(ids.map((id) => endings.get(id))).toEqual(ids.map(() => 1));
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('a deleted job leaves nothing: no record, no input, no entry in any list', async () => {
  const bench = await openBench({ redisUrl });
  const ended = await bench.submit(1);
  await bench.store.cancel(TENANT, ended);
  const open = await bench.submit([0xfeedbeef, 2], { deadline: { in: 600_000 } });
  for (const id of [ended, open]) await bench.store.remove(TENANT, id);
  for (const id of [ended, open]) {
    await expect(bench.store.get(TENANT, id)).rejects.toMatchObject({ code: 'job_not_found' });
  }
  expect(await bench.store.list(TENANT, { limit: 10 })).toEqual({ records: [], next: null });
  const keys = await bench.keys();
  expect(keys.filter((key) => /^(job|index|due|forget)/.test(key))).toEqual([]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test("another tenant's job is not there", async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(1);
  const { store } = bench;
  const attempts = [store.get('b', id), store.cancel('b', id), store.remove('b', id), store.wait('b', id, 20)];
  await Promise.all(attempts.map((attempt) => expect(attempt).rejects.toMatchObject({ code: 'job_not_found' })));
  expect(await store.list('b', { limit: 10 })).toEqual({ records: [], next: null });
  expect(await store.get(TENANT, id)).toMatchObject({ state: 'queued' });
});

test.each(['', 'nothing', 'unknown.1.fp32.0.01hzzzzzzzzzzzzzzzzzzzzzzz'])('the id %j is not found', async (id) => {
  const { store } = await openBench({ redisUrl });
  await expect(store.get(TENANT, id)).rejects.toMatchObject({ code: 'job_not_found' });
});
