import { openJobStore } from '@shoal/queue';
import { expect, test } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { rulesOf } from '../support/hardened-redis.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, type BenchOptions, openBench, TENANT } from '../support/queue-harness.js';
import { startReceiver } from '../support/receiver.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { outcomes } from '../support/scripted-model.js';
import { openWebhookBench } from '../support/webhook-bench.js';
import { liveAsJobs, liveAsWebhooks } from '../support/whole-life.js';

/** A queue on each of three masters; the URL names the one of the last queue. */
async function openClusterBench(options: Partial<BenchOptions> = {}) {
  const cluster = await startRedisCluster();
  const queues = await Promise.all([0, 1, 2].map((master) => cluster.queueOn(master)));
  const bench = await openBench({ redisUrl: cluster.masters[2]!.url, redisCluster: true, queues, ...options });
  return { cluster, queues: queues as [string, string, string], bench };
}

/** A key that lies on this master. */
async function keyOn(cluster: RedisCluster, master: number) {
  for (let n = 0; ; n++) {
    if ((await cluster.masterOf(`shoal:idempotency:{${TENANT} ${n}}`)) === master)
      return { key: `${n}`, fingerprint: 'f' };
  }
}

const codes = (outcomes: readonly object[]) => outcomes.map((one) => ('code' in one ? one.code : 'admitted'));
const submitOne = async (bench: Bench, ...job: Parameters<Bench['job']>) =>
  (await bench.store.submit([bench.job(...job)]))[0]!;

test('all that Shoal does works on a cluster, with queues, keys and webhooks on different nodes', async () => {
  const cluster = await startRedisCluster();
  const queues = await Promise.all([0, 1, 2].map((master) => cluster.queueOn(master)));
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], {
    redisUrl: cluster.masters[1]!.url,
    redisCluster: true,
    queues,
  });
  await liveAsJobs(bench);
  await liveAsWebhooks(bench, receiver);
  for (const queue of queues.slice(1)) await bench.startWorker({ queue });
  const jobs = queues.flatMap((queue) =>
    [1, 2, 3].map((n) => bench.job(n, { queue, idempotency: { key: `${queue} ${n}`, fingerprint: 'f' } })),
  );
  const admitted = await bench.store.submit(jobs);
  const again = await bench.store.submit(jobs);
  expect(again).toEqual(admitted.map((one) => ({ ...one, created: false })));
  for (const one of admitted.slice(3)) {
    if (one instanceof Error) throw one;
    expect((await bench.end(one.id)).state).toBe('completed');
  }
  const listed = await bench.store.list(TENANT, { limit: 100 });
  expect(new Set(listed.records.map(({ id }) => id.split('.')[0]))).toEqual(
    new Set(queues.map((queue) => queue.split('.')[0])),
  );
});

test('while a node is away its queues are unavailable and those of the others go on; when it is back, so are its jobs', async () => {
  const { cluster, queues, bench } = await openClusterBench();
  const [here, , away] = queues;
  await bench.startWorker({ queue: here });
  await bench.end(await bench.submit(0, { queue: here }));
  const waiting = await bench.submit(1, { queue: away });
  const key = await keyOn(cluster, 0);
  const lost = await keyOn(cluster, 2);
  await cluster.masters[2]!.crash();
  await expect.poll(async () => codes([await submitOne(bench, 1, { queue: away })])).toEqual(['redis_unavailable']);
  // One commit, of which one key cannot be reserved.
  const mixed = await bench.store.submit([
    bench.job(2, { idempotency: key }),
    bench.job(3, { idempotency: lost }),
    bench.job(4),
  ]);
  expect(codes(mixed)).toEqual(['admitted', 'redis_unavailable', 'admitted']);
  await bench.store.ping();
  // Also where the node that told of ended jobs was that one.
  expect(outcomes(await bench.end(await bench.submit(21, { queue: here })))).toEqual([42]);

  const worker = bench.startWorker({ queue: away });
  await cluster.masters[2]!.restart();
  const back = async () => codes([await submitOne(bench, 5, { queue: away })]);
  await expect.poll(back).toEqual(['admitted']);
  expect(outcomes(await bench.end(waiting))).toEqual([2]);
  await worker;
});

test('a node that hangs holds up its own queues only', async () => {
  const { cluster, queues, bench } = await openClusterBench();
  const [here, , away] = queues;
  await bench.startWorker({ queue: here });
  await bench.end(await bench.submit(0, { queue: here }));
  cluster.masters[2]!.freeze();
  const lost = await keyOn(cluster, 2);
  const refused = await bench.store.submit([
    bench.job(1, { queue: away, idempotency: lost }),
    bench.job(1, { queue: away }),
  ]);
  expect(codes(refused)).toEqual(['redis_unavailable', 'redis_unavailable']);
  for (let n = 0; n < 3; n++)
    expect(outcomes(await bench.end(await bench.submit(n, { queue: here })))).toEqual([2 * n]);
  cluster.masters[2]!.thaw();
  await expect.poll(async () => codes([await submitOne(bench, 1, { queue: away })])).toEqual(['admitted']);
});

test('a replica that takes over has the queue: submissions and workers find it', async () => {
  const { cluster, queues, bench } = await openClusterBench();
  const [queue] = queues;
  const replica = await cluster.addReplica(0);
  const worker = await bench.startWorker({ queue });
  const before = await bench.submit(1, { queue });
  expect(outcomes(await bench.end(before))).toEqual([2]);
  // Replication follows behind: what it had not reached would be lost with the node.
  await replica.client.readonly();
  await expect
    .poll(() => replica.client.hget(`{shoal:${queue}}:job:${before.split('.').at(-1)}`, 'state'))
    .toBe('completed');
  await cluster.masters[0]!.crash();
  const again = async () => codes([await submitOne(bench, 2, { queue })]);
  await expect.poll(again).toEqual(['admitted']);
  expect(outcomes(await bench.end(await bench.submit(3, { queue })))).toEqual([6]);
  expect((await bench.store.get(TENANT, before)).state).toBe('completed');
  await worker.stop();
});

test('a job counts once the replicas of its own node, and of its key’s, have it', async () => {
  const cluster = await startRedisCluster();
  const queues = await Promise.all([0, 1].map((master) => cluster.queueOn(master)));
  const [replicated = '', alone = ''] = queues;
  await cluster.addReplica(0);
  const bench = await openBench({
    redisUrl: cluster.masters[2]!.url,
    redisCluster: true,
    queues,
    replication: { minReplicas: 1, timeoutMs: 200 },
  });
  const [near, far] = [await keyOn(cluster, 0), await keyOn(cluster, 1)];
  const outcomes = [
    await submitOne(bench, 1, { queue: replicated }),
    await submitOne(bench, 1, { queue: replicated, idempotency: near }),
    await submitOne(bench, 1, { queue: replicated, idempotency: far }),
    await submitOne(bench, 1, { queue: alone }),
  ];
  expect(codes(outcomes)).toEqual(['admitted', 'admitted', 'not_replicated', 'not_replicated']);
});

test('memory is that of the queue’s own node', async () => {
  const { cluster, queues, bench } = await openClusterBench();
  const [roomy, , full] = queues;
  const { client } = cluster.masters[2]!;
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))![1]);
  await client.config('SET', 'maxmemory', String(Math.ceil((used + 1_000_000) / 0.75)));
  const big = { resultBytes: 4_000_000 };
  const refused = async () => codes([await submitOne(bench, 1, { queue: full, ...big })]);
  await expect.poll(refused).toEqual(['memory_full']);
  expect(codes([await submitOne(bench, 1, { queue: roomy, ...big })])).toEqual(['admitted']);
});

test('by TLS and as users who may do only what they need to', async () => {
  const { ca, settings } = await makeCertificates();
  const cluster = await startRedisCluster(settings);
  const rules = rulesOf('secret').split('\n');
  for (const { client } of cluster.masters) {
    // All but that the default user is off, which is the test's own.
    for (const rule of rules.slice(1))
      if (rule !== '') await client.call('ACL', 'SETUSER', ...rule.split(' ').slice(1));
  }
  const urlOf = (user: string) => cluster.masters[0]!.tlsUrl.replace('//', `//${user}:secret@`);
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], {
    redisUrl: urlOf('shoal'),
    workerUrl: urlOf('shoal-worker'),
    webhooksUrl: urlOf('shoal-webhooks'),
    testUrl: urlOf('admin'),
    redisCa: ca,
    redisCluster: true,
    queues: [await cluster.queueOn(1), await cluster.queueOn(2)],
  });
  await liveAsJobs(bench);
  await liveAsWebhooks(bench, receiver);
  for (const { client } of cluster.masters) expect(await client.call('ACL', 'LOG')).toEqual([]);
});

test('a cluster that is taken for one server, and one server for a cluster, are refused with what to set', async () => {
  const { masters } = await startRedisCluster();
  const open = (redisUrl: string, redisCluster: boolean) =>
    openJobStore({
      redisUrl,
      redisCluster,
      queues: [],
      tenantCapTokens: 1,
      tenantMemoryShare: 1,
      queueCapTokens: 1,
      memoryBudget: 1,
      clock: Date.now,
      onError: () => undefined,
    });
  await expect(open(masters[0]!.url, false)).rejects.toThrow(/SHOAL_REDIS_CLUSTER=true/);
  await expect(open(await startOwnRedis(), true)).rejects.toThrow(/leave SHOAL_REDIS_CLUSTER out/);
});
