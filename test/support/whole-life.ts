/** Everything that Shoal does with Redis, once: for Redis's own rules (users, slots) to object to. */
import { ShoalError } from '@shoal/contracts';
import { expect } from 'vitest';
import { type Bench, deferred, TENANT } from './queue-harness.js';
import { type Receiver, withStatus } from './receiver.js';
import { double, outcomes, resultOf } from './scripted-model.js';
import type { WebhookBench } from './webhook-bench.js';

const key = (name: string, fingerprint = 'f') => ({ key: name, fingerprint });

/** Jobs from submission to retention, by every way in which they end. */
export async function liveAsJobs(bench: Bench): Promise<void> {
  await loseWorker(bench);
  const { store } = bench;
  // Before there is a worker: what waits is listed, cancelled, deleted, expires.
  const waiting = await bench.submit([1, 2, 3], { retentionMs: 1000 });
  const cancelled = await bench.submit(1);
  const deleted = await bench.submit(1);
  const late = await bench.submit(1, { deadline: { in: 1 } });
  expect((await store.list(TENANT, { limit: 3 })).records).toHaveLength(3);
  expect((await store.cancel(TENANT, cancelled)).state).toBe('cancelled');
  await store.remove(TENANT, deleted);
  await expect(store.get(TENANT, deleted)).rejects.toMatchObject({ code: 'job_not_found' });
  expect((await bench.end(late)).state).toBe('expired');
  const once = await bench.submit(1, { idempotency: key('once') });
  expect(await bench.submit(1, { idempotency: key('once') })).toBe(once);
  const [conflict] = await store.submit([bench.job(1, { idempotency: key('once', 'other') })]);
  expect(conflict).toMatchObject({ code: 'idempotency_conflict' });

  await drainWorker(bench);
  await bench.startWorker({
    tells: { tokensPerSecond: 1e9, coldStart: 2.5 },
    limits: { maxBatchSize: 2 },
    run: async (values) => values.map((value) => (value === 0 ? new ShoalError('device_failed', 'x') : 2 * value)),
  });
  expect(outcomes(await bench.end(waiting))).toEqual([2, 4, 6]);
  expect((await bench.end(once)).state).toBe('completed');
  expect(outcomes(await bench.end(await bench.submit([0, 1])))).toEqual(['device_failed', 2]);
  const followed = await bench.submit([1, 2, 3, 4]);
  const seen: number[] = [];
  for await (const { parts } of store.follow(TENANT, followed, { parts: 0, pieces: 0 }, new AbortController().signal)) {
    seen.push(...parts.map(({ index }) => index));
  }
  expect(seen.sort()).toEqual([0, 1, 2, 3]);
  const bulk = await store.submit(Array.from({ length: 50 }, (_, n) => bench.job(n + 1, { idempotency: key(`${n}`) })));
  for (const job of bulk) {
    if (job instanceof Error) throw job;
    expect((await bench.end(job.id)).state).toBe('completed');
  }
  expect(await store.demand(bench.queue)).toMatchObject({ unfinishedJobs: 0 });
  const ids = async () => (await store.list(TENANT, { limit: 100 })).records.map(({ id }) => id);
  await expect.poll(ids).not.toContain(waiting);
  const demand = await store.demand(bench.queue);
  expect([demand.coldStarts, demand.arrivals?.rate, demand.unfinishedJobs]).toEqual([[2.5], expect.any(Number), 0]);
  expect(demand.replicaRate).toBeGreaterThan(0);
}

/** A worker loses its lock while it runs an item: the workers' own check has another one run it. */
async function loseWorker(bench: Bench): Promise<void> {
  const { claims, publisher, stop } = bench.startHolder();
  const id = await bench.submit(1);
  const [stale] = await claims.next(1);
  expect(await publisher.begin([stale!.item])).toEqual([1]);
  await bench.redis.del(`${bench.tag}:chunks:${stale!.item.lock.id}:lock`);
  const [fresh] = await claims.next(1);
  expect(fresh?.item.strikes).toBe(1);
  expect(await publisher.begin([fresh!.item])).toEqual([1]);
  expect(await publisher.publish([{ item: fresh!.item, result: resultOf(1) }])).toEqual([1]);
  expect((await bench.end(id)).state).toBe('completed');
  await stop();
}

/** A worker is asked to stop while it has work: what it has not begun is handed back. */
async function drainWorker(bench: Bench): Promise<void> {
  const [begun, go] = [deferred(), deferred()];
  const worker = await bench.startWorker({
    limits: { maxBatchSize: 1 },
    run: async (values) => {
      begun.resolve();
      await go.promise;
      return double(values);
    },
  });
  await begun.promise;
  const stopped = worker.stop();
  go.resolve();
  await stopped;
}

/** Endpoints and secrets, deliveries that fail and come again, replays and the log of attempts. `bench` allows `receiver`. */
export async function liveAsWebhooks(bench: WebhookBench, receiver: Receiver): Promise<void> {
  receiver.answer = withStatus(500);
  const { webhooks, box, secret } = bench;
  const { id } = await bench.endpoint(`${receiver.url}/in`, ['job.started', 'job.output', 'job.completed']);
  const spare = await bench.endpoint(`${receiver.url}/spare`, ['job.failed']);
  await webhooks.updateEndpoint(TENANT, spare.id, { disabled: 'by_request' });
  await webhooks.removeEndpoint(TENANT, spare.id);
  await webhooks.rotateSecret(TENANT, id, box.seal(secret, TENANT), 60_000);
  await webhooks.tenantSecrets(TENANT, box.seal(secret, TENANT));
  await webhooks.rotateTenantSecret(TENANT, box.seal(secret, TENANT), 60_000);
  const delivering = await bench.start({ receiverConcurrency: 2 });
  const worker = await bench.startWorker();
  await bench.submitSubscribed(1);
  await bench.submitSubscribed(2, { url: `${receiver.url}/own`, events: ['job.completed'] });
  const givenUp = async () => {
    const { attempts } = await webhooks.attempts(TENANT, id, { limit: 100 });
    return attempts.filter(({ nextAt, delivered }) => nextAt === null && !delivered);
  };
  await expect.poll(async () => (await givenUp()).length).toBeGreaterThan(0);
  const [lost] = await givenUp();
  receiver.answer = (_, response) => void response.end();
  await webhooks.replay(TENANT, id, lost!.message);
  await webhooks.test(TENANT, id, 'msg_test');
  await webhooks.recover(TENANT, id, 0);
  const delivered = async () => {
    const { attempts } = await webhooks.attempts(TENANT, id, { limit: 100 });
    return new Set(attempts.flatMap((attempt) => (attempt.delivered ? [attempt.message] : [])));
  };
  await expect.poll(delivered).toContain(lost!.message);
  await expect.poll(delivered).toContain('msg_test');
  expect((await webhooks.endpoints(TENANT)).map((endpoint) => endpoint.id)).toEqual([id]);
  await Promise.all([delivering.stop(), worker.stop()]);
}
