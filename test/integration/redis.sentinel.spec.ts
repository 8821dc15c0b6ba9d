import { waitForRedis } from '@shoal/queue';
import { expect, test } from 'vitest';
import { type LastingRedis, startLastingRedis } from '../support/lasting-redis.js';
import { startApi } from '../support/processes.js';
import { TENANT } from '../support/queue-harness.js';
import { startReceiver } from '../support/receiver.js';
import { startRedisReplica } from '../support/redis-replica.js';
import { startSentinels } from '../support/redis-sentinels.js';
import { outcomes } from '../support/scripted-model.js';
import { openWebhookBench } from '../support/webhook-bench.js';

async function startPair() {
  const primary = await startLastingRedis();
  const replica = await startRedisReplica(primary);
  const port = ({ url }: LastingRedis) => `127.0.0.1:${new URL(url).port}`;
  return { primary, replica, addressOf: port };
}

test('jobs and webhooks go on at the replica that the Sentinels make the primary', async () => {
  const { primary, replica, addressOf } = await startPair();
  const sentinels = await startSentinels('shoal', primary.url, { replicas: 1, password: 'p@ss' });
  const redisSentinels = sentinels.urls.map((url) => url.replace('p@ss', 'p%40ss'));
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], {
    redisUrl: 'redis://shoal/2',
    testUrl: `${replica.url}/2`,
    redisSentinels,
  });
  await bench.start();
  await bench.startWorker();
  const before = await bench.submit(1);
  await bench.end(before);
  await primary.crash();
  await expect.poll(() => sentinels.primary()).toBe(addressOf(replica));
  const webhook = {
    url: receiver.url,
    events: ['job.completed'] as const,
    secret: bench.box.seal(bench.secret, TENANT),
  };
  const submit = () => bench.submitSubscribed(4, webhook).catch(() => null);
  let id: string | null = null;
  await expect.poll(async () => (id = await submit())).not.toBeNull();
  expect(outcomes(await bench.end(id!))).toEqual([8]);
  expect((await bench.store.get(TENANT, before)).state).toBe('completed');
  await receiver.until(1);
});

test('what the Sentinels do not know, and Sentinels that are not there, are told in one line', async () => {
  const primary = await startLastingRedis();
  const { urls } = await startSentinels('shoal', primary.url, { replicas: 0 });
  const refusal = (target: Parameters<typeof waitForRedis>[0]) =>
    waitForRedis(target, { role: 'api', ms: 2000, onWarning: () => undefined }).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
  expect(await refusal({ redisUrl: 'redis://shoal', redisSentinels: urls })).toBe('accepted');
  expect(await refusal({ redisUrl: 'redis://other', redisSentinels: urls })).toMatch(/No such master with that name/);
  const nobody = ['redis://127.0.0.1:1', 'redis://127.0.0.1:2'];
  expect(await refusal({ redisUrl: 'redis://shoal', redisSentinels: nobody })).toMatch(/failed to connect to sentinel/);
  const env = { SHOAL_REDIS_SENTINELS: urls.join() };
  const api = await startApi({ redisUrl: 'redis://shoal', env });
  expect((await fetch(`${api.url}/readyz`)).status).toBe(200);
  await api.stop();
});
