/** What networks and failovers do to connections: each kind of them is in service again without anybody's help. */
import { expect, test } from 'vitest';
import { startLastingRedis } from '../support/lasting-redis.js';
import { openBench, TENANT } from '../support/queue-harness.js';
import { startReceiver } from '../support/receiver.js';
import { type Kind, startRedisGateway } from '../support/redis-gateway.js';
import { startRedisReplica } from '../support/redis-replica.js';
import { outcomes } from '../support/scripted-model.js';
import { openWebhookBench, type WebhookBench } from '../support/webhook-bench.js';

/** A job that is accepted from now on, however long that takes; each tells the receiver of its end. */
async function submitWhenBack(bench: WebhookBench, url: string): Promise<string> {
  const webhook = { url, events: ['job.completed'], secret: bench.box.seal(bench.secret, TENANT) } as const;
  const submit = () => bench.submitSubscribed(4, webhook).catch(() => undefined);
  let id: string | undefined;
  await expect
    .poll(
      async () => {
        id = await submit();
        return id;
      },
      { timeout: 40_000 },
    )
    .toBeDefined();
  return id!;
}

async function openServed(redisUrl: string, testUrl: string) {
  const receiver = await startReceiver();
  const told: string[] = [];
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], {
    redisUrl,
    testUrl,
    onError: ({ message }) => void told.push(message),
  });
  await bench.start();
  await bench.startWorker();
  await bench.end(await submitWhenBack(bench, receiver.url));
  await receiver.until(1);
  return { bench, receiver, told };
}

test.each<Kind | 'all'>(['commands', 'subscriber', 'blocking', 'all'])(
  'connections that fall silent without being closed are given up: %s',
  async (kind) => {
    const server = await startLastingRedis();
    const gateway = await startRedisGateway(server.url);
    const { bench, receiver } = await openServed(gateway.url, server.url);
    expect(gateway.silence(kind === 'all' ? undefined : kind)).toBeGreaterThan(1);
    const id = await submitWhenBack(bench, receiver.url);
    expect(outcomes(await bench.end(id))).toEqual([8]);
    await expect.poll(() => receiver.received.map(({ event }) => event.data.id)).toContain(id);
  },
);

test('a network that swallows all, also what is opened anew, is left as soon as it is there again', async () => {
  const server = await startLastingRedis();
  const gateway = await startRedisGateway(server.url);
  const { bench, receiver, told } = await openServed(gateway.url, server.url);
  gateway.swallow(true);
  gateway.silence();
  await expect.poll(() => told.join()).toMatch(/Redis was silent for 5 s/);
  await expect(bench.store.ping()).rejects.toThrow('Redis does not answer');
  gateway.swallow(false);
  expect(outcomes(await bench.end(await submitWhenBack(bench, receiver.url)))).toEqual([8]);
});

test('a primary that becomes a replica is left, for the one that its name leads to next', async () => {
  const server = await startLastingRedis();
  const replica = await startRedisReplica(server);
  const gateway = await startRedisGateway(server.url);
  const { bench, receiver, told } = await openServed(gateway.url, server.url);
  const waiting = await bench.submit(3);
  await bench.end(waiting);
  await replica.failover();
  const reason = () => bench.store.ping().catch((error: Error) => error.message);
  await expect.poll(reason).toBe('this Redis is a read-only replica (READONLY); the primary is needed');
  const [refused] = await bench.store.submit([bench.job(1)]);
  expect(refused).toMatchObject({ code: 'redis_unavailable' });
  await expect.poll(() => told.join()).toMatch(/read-only replica/);
  gateway.lead(replica.url);
  const id = await submitWhenBack(bench, receiver.url);
  expect(outcomes(await bench.end(id))).toEqual([8]);
  await expect.poll(() => receiver.received.map(({ event }) => event.data.id)).toContain(id);
  expect(await reason()).toBeUndefined();
  expect((await bench.store.get(TENANT, waiting)).state).toBe('completed');
});

test('an event stream that is opened while Redis hangs is refused like any other call', async () => {
  const server = await startLastingRedis();
  const bench = await openBench({ redisUrl: server.url });
  const id = await bench.submit(1);
  server.freeze();
  const follow = () => bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, new AbortController().signal).next();
  const opened = await Promise.allSettled([follow(), follow()]);
  server.thaw();
  const unavailable = { status: 'rejected', reason: { code: 'redis_unavailable' } };
  expect(opened).toMatchObject([unavailable, unavailable]);
});
