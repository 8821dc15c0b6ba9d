/** Queues whose models have gone. */
import { ShoalError } from '@shoal/contracts';
import { expect, inject, test } from 'vitest';
import { openBench } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

test('unfinished jobs of a queue that nobody serves end as failed, and what had ended stays', async () => {
  const bench = await openBench({ redisUrl });
  const done = await bench.submit(1, { tenant: 'acme' });
  await bench.store.cancel('acme', done);
  const jobs = await Promise.all(Array.from({ length: 250 }, () => bench.submit(1, { tenant: 'acme' })));
  const other = await bench.submit([1, 2, 3], { tenant: 'other' });
  const waiting = bench.store.wait('other', other, 60_000);
  await bench.store.abandon(bench.queue, new ShoalError('model_not_found', 'gone'));
  expect(await waiting).toMatchObject({ state: 'failed', error: { code: 'model_not_found', detail: 'gone' } });
  for (const id of jobs) expect((await bench.store.get('acme', id)).state).toBe('failed');
  expect((await bench.store.get('acme', done)).state).toBe('cancelled');
  expect((await bench.store.demand(bench.queue)).unfinishedJobs).toBe(0);
});

test('a queue that is served no more is known as long as anything of it is left, and not longer', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(1, { retentionMs: 60_000 });
  const empty = `${bench.queue.split('.')[0]}x.1.fp32.0`;
  await bench.store.serve([{ name: empty }]);
  expect((await bench.store.get('acme', id)).state).toBe('queued');
  expect(bench.store.depths().map(({ queue }) => queue)).toEqual([bench.queue, empty]);
  await bench.store.serve([{ name: bench.queue }]);
  await bench.store.remove('acme', id);
  expect(bench.store.depths().map(({ queue }) => queue)).toContain(bench.queue);
});
