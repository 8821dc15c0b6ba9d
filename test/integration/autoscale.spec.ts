/** The autoscaling number from a real Redis: what the scripts count, what workers tell, and what is answered over HTTP. */
import { addArrivals, learnFleetSpeed, sizeClass } from '@shoal/autoscaling';
import { DemandReports, type JobStore } from '@shoal/queue';
import { servePrivately } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { Autoscale } from '../../apps/api/dist/autoscale/autoscale.js';
import { autoscaleRoute } from '../../apps/api/dist/autoscale/autoscale-route.js';
import { startLastingRedis } from '../support/lasting-redis.js';
import { type Bench, deferred, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');

const FULL = Array.from({ length: 64 }, (_, n) => n);
const LONG = FULL.map(() => 64);

/** Asks over HTTP for the need of the bench's queue, as the model `m`. */
async function serve(bench: Bench, store: Pick<JobStore, 'demand'> = bench.store) {
  const autoscale = new Autoscale({ store, queues: () => new Map([['m', [bench.queue]]]), delayObjectiveSeconds: 30 });
  const route = autoscaleRoute(autoscale, { tokenDigest: undefined, host: '127.0.0.1' });
  const server = await servePrivately(new Registry(), () => true, '127.0.0.1', 0, route);
  onTestFinished(() => server.close());
  return async (): Promise<Readonly<Record<string, unknown>>> => {
    const response = await fetch(`http://127.0.0.1:${server.port}/internal/autoscale/m`);
    const answer = (await response.json()) as Record<string, unknown>;
    return { ...answer, status: response.status };
  };
}

describe('arrivals', () => {
  test('add up in Redis as they do in libs/autoscaling, once per script however many jobs it admits', async () => {
    const bench = await openBench({ redisUrl });
    expect((await bench.store.demand(bench.queue)).arrivals).toBeNull();
    await bench.submit(1, { lengths: [600] });
    const first = (await bench.store.demand(bench.queue)).arrivals!;
    expect(first.rate).toBe(10);
    await bench.store.submit([60, 120, 180].map((tokens) => bench.job(1, { lengths: [tokens] })));
    const second = (await bench.store.demand(bench.queue)).arrivals!;
    expect(second.at).toBeGreaterThanOrEqual(first.at);
    expect(second.rate).toBeCloseTo(addArrivals(first, 360, second.at).rate, 9);
  });

  test('are those that were admitted: neither refused ones nor repeats', async () => {
    const bench = await openBench({ redisUrl, tenantCapTokens: 100 });
    const idempotency = { key: 'k', fingerprint: 'f' };
    await bench.submit(1, { lengths: [60], idempotency });
    await bench.submit(1, { lengths: [60], idempotency });
    await expect(bench.submit(1, { lengths: [60] })).rejects.toMatchObject({ code: 'tenant_backlog_full' });
    expect((await bench.store.demand(bench.queue)).arrivals!.rate).toBe(1);
  });
});

describe('what workers tell', () => {
  test('is the speed that full batches show, kept when they are gone', async () => {
    const bench = await openBench({ redisUrl });
    // Any chunk fills a batch of eight.
    const worker = await bench.startWorker({ limits: { maxBatchSize: 8 } });
    await bench.end(await bench.submit(FULL, { lengths: LONG }));
    await worker.stop();
    const { replicaRate } = await bench.store.demand(bench.queue);
    expect(replicaRate).toBeGreaterThan(0);
    const other = await bench.openStore();
    expect((await other.demand(bench.queue)).replicaRate).toBe(replicaRate);
  });

  test('is not lowered by a batch that is nearly empty, nor by one that fails', async () => {
    const bench = await openBench({ redisUrl });
    await new DemandReports(bench.redis, bench.queue).begin(1e9);
    const worker = await bench.startWorker({
      run: async (values) => values.map((value) => (value < 64 ? new Error('no') : value)),
      limits: { maxBatchSize: 8 },
    });
    await bench.end(await bench.submit(FULL, { lengths: LONG }));
    await bench.end(await bench.submit(64));
    await worker.stop();
    expect((await bench.store.demand(bench.queue)).replicaRate).toBe(1e9);
  });

  test('is shared: each replica goes on from what the others have learned', async () => {
    const bench = await openBench({ redisUrl });
    const [one, two] = [0, 1].map(() => new DemandReports(bench.redis, bench.queue)) as [DemandReports, DemandReports];
    await one.begin(1000);
    await one.learn(({ rate }) => ({ rate: (rate ?? 0) + 200, speed: null, sizeClass: 1 }));
    await two.learn(({ rate }) => ({ rate: (rate ?? 0) / 2, speed: null, sizeClass: 1 }));
    expect((await bench.store.demand(bench.queue)).replicaRate).toBe(600);
  });

  test('stands when a replica begins, unless it is measured to be of another order', async () => {
    const bench = await openBench({ redisUrl });
    const reports = new DemandReports(bench.redis, bench.queue);
    const rate = async () => (await bench.store.demand(bench.queue)).replicaRate;
    await reports.begin(1000);
    expect(await rate()).toBe(1000);
    await reports.learn(() => ({ rate: 300, speed: null, sizeClass: 1 }));
    await reports.begin(1900);
    expect(await rate()).toBe(300);
    await reports.begin(4000);
    expect(await rate()).toBe(4000);
  });

  test('is not believed where it is no speed', async () => {
    const bench = await openBench({ redisUrl });
    const reports = new DemandReports(bench.redis, bench.queue);
    await reports.learn(() => ({ rate: Number.NaN, speed: null, sizeClass: 1 }));
    await reports.learn(() => ({ rate: 0, speed: null, sizeClass: 1 }));
    expect((await bench.store.demand(bench.queue)).replicaRate).toBeNull();
    await bench.redis.hset(`${bench.tag}:limits`, 'replicaRate', 'nonsense');
    expect((await bench.store.demand(bench.queue)).replicaRate).toBeNull();
    await reports.learn(({ rate }) => ({ rate: rate ?? 7, speed: null, sizeClass: 1 }));
    expect((await bench.store.demand(bench.queue)).replicaRate).toBe(7);
  });

  test('is learned by how many work; where more bring nothing no more are asked for', async () => {
    const bench = await openBench({ redisUrl });
    const replicas = Array.from({ length: 4 }, () => new DemandReports(bench.redis, bench.queue));
    const full = (rate: number) => ({ full: { tokens: 300 * rate, seconds: 300 }, small: { tokens: 0, seconds: 0 } });
    const seen: number[] = [];
    const report = (replica: DemandReports, rate: number) =>
      replica.learn((known) => {
        seen.push(known.replicas);
        const speed = learnFleetSpeed(known.speeds, known.replicas, full(rate), known.now);
        return { rate, speed, sizeClass: sizeClass(known.replicas) };
      });
    const ask = await serve(bench);
    await report(replicas[0]!, 8);
    await bench.submit(FULL, { lengths: LONG });
    expect(await ask()).toMatchObject({ useful_replicas: null });
    for (const replica of replicas.slice(1)) await report(replica, 2);
    expect(seen).toEqual([1, 2, 3, 4]);
    const answer = await ask();
    expect(answer).toMatchObject({ useful_replicas: 1, replicas_needed: 1 });
    expect(answer.replica_tokens_per_second).toBe(2);
  });

  test('of their starts, the latest 20 are kept', async () => {
    const bench = await openBench({ redisUrl });
    const reports = new DemandReports(bench.redis, bench.queue);
    for (let seconds = 1; seconds <= 25; seconds++) await reports.addColdStart(seconds);
    const { coldStarts } = await bench.store.demand(bench.queue);
    expect(coldStarts).toEqual(Array.from({ length: 20 }, (_, n) => 25 - n));
    expect(await (await serve(bench))()).toMatchObject({ cold_start_seconds: 24, target_seconds: 24 });
  });
});

describe('the number', () => {
  test('is 1 for the first job of a model that has never run', async () => {
    const bench = await openBench({ redisUrl });
    const ask = await serve(bench);
    expect(await ask()).toMatchObject({ status: 200, replicas_needed: 0, queued_tokens: 0 });
    await bench.submit(1);
    expect(await ask()).toMatchObject({ replicas_needed: 1, queued_tokens: 4, replica_tokens_per_second: null });
  });

  test('stays above 0 while anything runs, however old, and is 0 a minute after the last arrival', async () => {
    const bench = await openBench({ redisUrl });
    await new DemandReports(bench.redis, bench.queue).begin(1e6);
    const gate = deferred();
    await bench.startWorker({
      run: async (values) => {
        await gate.promise;
        return values.map((value) => value);
      },
    });
    const id = await bench.submit(1);
    const later = (seconds: number): Pick<JobStore, 'demand'> => ({
      demand: async (queue) => {
        const demand = await bench.store.demand(queue);
        return { ...demand, now: demand.now + seconds * 1000 };
      },
    });
    const askAfter = async (seconds: number) => (await (await serve(bench, later(seconds)))()).replicas_needed;
    await expect.poll(async () => (await bench.store.get(TENANT, id)).state).toBe('running');
    expect(await askAfter(86_400)).toBe(0.01);
    gate.resolve();
    await bench.end(id);
    expect(await askAfter(30)).toBe(0.01);
    expect(await askAfter(61)).toBe(0);
  });

  test.each(['crash', 'freeze'] as const)(
    'is 503 while Redis is away (%s), and right again when it is back',
    async (fault) => {
      // Replies are on disk before they are sent, so that a crash takes nothing back.
      const redis = await startLastingRedis({ appendfsync: 'always' });
      const bench = await openBench({ redisUrl: redis.url });
      const ask = await serve(bench);
      await bench.submit(1);
      expect(await ask()).toMatchObject({ status: 200, replicas_needed: 1 });
      await redis[fault]();
      expect(await ask()).toMatchObject({ status: 503, code: 'redis_unavailable' });
      if (fault === 'crash') await redis.restart();
      else redis.thaw();
      await expect.poll(async () => (await ask()).status).toBe(200);
      expect(await ask()).toMatchObject({ replicas_needed: 1, queued_tokens: 4 });
    },
  );
});
