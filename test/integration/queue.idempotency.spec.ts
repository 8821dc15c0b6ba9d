import type { ShoalError } from '@shoal/contracts';
import type { Admitted } from '@shoal/queue';
import { expect, inject, test } from 'vitest';
import { NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

test('the same key and body make one job, also a hundred times at once at two replicas', async () => {
  const bench = await openBench({ redisUrl });
  const replica = await bench.openStore();
  const idempotency = { key: bench.queue, fingerprint: 'a' };
  const calls = Array.from({ length: 100 }, (_, n) =>
    (n % 2 ? bench.store : replica).submit([bench.job(n, { idempotency })]),
  );
  const admitted = (await Promise.all(calls)).flat() as Admitted[];
  expect(new Set(admitted.map(({ id }) => id)).size).toBe(1);
  expect(admitted.filter(({ created }) => created)).toHaveLength(1);
  expect(await bench.counters()).toMatchObject({ jobs: 1, tokens: 4, outstanding: { [TENANT]: '4' } });
  const { batches } = await bench.startWorker();
  const record = await bench.end(admitted[0]!.id);
  expect(record).toMatchObject({ state: 'completed', total: 1 });
  const [again] = await bench.store.submit([bench.job(0, { idempotency })]);
  expect(again).toEqual({ id: record.id, created: false });
  expect(batches.flat()).toHaveLength(1);
});

test('jobs of one call that share a key are one job', async () => {
  const bench = await openBench({ redisUrl });
  const idempotency = { key: bench.queue, fingerprint: 'a' };
  const admitted = (await bench.store.submit([1, 1, 1].map((n) => bench.job(n, { idempotency })))) as Admitted[];
  expect(new Set(admitted.map(({ id }) => id)).size).toBe(1);
  expect(await bench.counters()).toMatchObject({ jobs: 1 });
});

test('another body under the key is refused; another tenant has keys of its own', async () => {
  const bench = await openBench({ redisUrl });
  const first = await bench.submit(1, { idempotency: { key: bench.queue, fingerprint: 'a' } });
  const other = { key: bench.queue, fingerprint: 'b' };
  await expect(bench.submit(2, { idempotency: other })).rejects.toMatchObject({ code: 'idempotency_conflict' });
  expect(await bench.submit(2, { idempotency: other, tenant: 'other' })).not.toBe(first);
});

test('the key outlives the record: a repeat learns that the job is gone and makes no new one', async () => {
  const bench = await openBench({ redisUrl });
  const idempotency = { key: bench.queue, fingerprint: 'a' };
  const id = await bench.submit(1, { idempotency });
  await bench.store.remove(TENANT, id);
  await expect(bench.submit(1, { idempotency })).rejects.toMatchObject({ code: 'job_gone', status: 410 });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

test('whose queue a key is for is known as soon as it is taken, also while its job was refused', async () => {
  const bench = await openBench({ redisUrl, tenantCapTokens: 4 });
  const key = bench.queue;
  expect(await bench.store.queueOfKey(TENANT, key)).toBeNull();
  await bench.submit(1);
  await expect(bench.submit(2, { idempotency: { key, fingerprint: 'a' } })).rejects.toBeDefined();
  expect(await bench.store.queueOfKey(TENANT, key)).toBe(bench.queue);
  expect(await bench.store.queueOfKey('other', key)).toBeNull();
});

test('a refused call leaves its key free, also for another body', async () => {
  const bench = await openBench({ redisUrl, tenantCapTokens: 4 });
  const first = await bench.submit(1);
  const refused = bench.submit(2, { idempotency: { key: bench.queue, fingerprint: 'a' } });
  await expect(refused).rejects.toMatchObject({ code: 'tenant_backlog_full' } satisfies Partial<ShoalError>);
  await bench.store.cancel(TENANT, first);
  await bench.submit(3, { idempotency: { key: bench.queue, fingerprint: 'b' } });
});

test('a call refused for lack of memory leaves its key free', async () => {
  const bench = await openBench({ redisUrl });
  const full = await bench.openStore({ memoryBudget: 1 });
  const idempotency = { key: bench.queue, fingerprint: 'a' };
  const [refused] = await full.submit([bench.job(1, { idempotency })]);
  expect(refused).toMatchObject({ code: 'memory_full' });
  await expect
    .poll(() => bench.submit(1, { idempotency: { ...idempotency, fingerprint: 'b' } }).catch(({ code }) => code))
    .toContain(bench.queue);
});

test('a call that is refused beside a repeat that is admitted leaves one job, under one id', async () => {
  const bench = await openBench({ redisUrl });
  const full = await bench.openStore({ tenantCapTokens: 1 });
  const calls = Array.from({ length: 60 }, async (_, n) => {
    const job = bench.job(n, { idempotency: { key: `${bench.queue} ${n}`, fingerprint: 'a' } });
    const answers = await Promise.all([full.submit([job]), bench.store.submit([job]), full.submit([job])]);
    const again = (await bench.store.submit([job])) as Admitted[];
    const ids = [...answers.flat(), ...again].flatMap((answer) => (answer instanceof Error ? [] : [answer.id]));
    expect(new Set(ids).size).toBe(1);
    return ids[0];
  });
  await Promise.all(calls);
  expect(await bench.counters()).toMatchObject({ jobs: 60 });
});
