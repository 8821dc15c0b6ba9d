import { expect, inject, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { FOREVER, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

test('a wait is answered when the job ends, by every replica', async () => {
  const bench = await openBench({ redisUrl });
  const replica = await bench.openStore();
  const id = await bench.submit(1);
  const waits = [bench.store, bench.store, replica].map((store) => store.wait(TENANT, id, FOREVER));
  await bench.startWorker();
  for (const record of await Promise.all(waits)) expect(record.state).toBe('completed');
});

test('a wait for a job that has ended is answered at once', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(1);
  await bench.store.cancel(TENANT, id);
  expect(await bench.store.wait(TENANT, id, FOREVER)).toMatchObject({
    state: 'cancelled',
    error: { code: 'cancelled' },
  });
});

test('an end that was announced while the subscription was broken is not missed', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const id = await bench.submit(1);
  const waiting = bench.store.wait(TENANT, id, FOREVER);
  await bench.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await bench.store.cancel(TENANT, id);
  expect(await waiting).toMatchObject({ state: 'cancelled' });
});

test('a wait outlives a connection that breaks at the very moment the job ends', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const id = await bench.submit(1);
  const [watched] = await bench.store.submit([bench.job(2)], { watch: true });
  const other = (watched as { readonly id: string }).id;
  const waiting = [id, other].map((one) => bench.store.wait(TENANT, one, FOREVER));
  // Read in the same call as the first look of the first one.
  await bench.store.get(TENANT, id);
  await bench.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await bench.redis.publish('shoal:ended', `${id} ${other}`);
  const cancel = (one: string) => bench.store.cancel(TENANT, one).then(({ state }) => state, String);
  for (const one of [id, other]) await expect.poll(() => cancel(one)).toBe('cancelled');
  expect(await Promise.all(waiting)).toMatchObject([{ state: 'cancelled' }, { state: 'cancelled' }]);
});

test('a wait that runs out, and one that is aborted, have the job as it stands', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(1);
  expect(await bench.store.wait(TENANT, id, 20)).toMatchObject({ state: 'queued' });
  const controller = new AbortController();
  const waiting = bench.store.wait(TENANT, id, FOREVER, controller.signal);
  controller.abort();
  expect(await waiting).toMatchObject({ state: 'queued' });
  expect(await bench.store.wait(TENANT, id, FOREVER, AbortSignal.abort())).toMatchObject({ state: 'queued' });
});

test('a wait for a job that is deleted meanwhile ends with job_not_found', async () => {
  const bench = await openBench({ redisUrl });
  const id = await bench.submit(1);
  const waiting = bench.store.wait(TENANT, id, FOREVER);
  await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'job_not_found' }), bench.store.remove(TENANT, id)]);
});
