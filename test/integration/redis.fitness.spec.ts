/** A Redis that Shoal cannot work with is refused at the start, in one line that says why, and told of by readiness. */
import { openJobStore, type RedisTarget, waitForRedis } from '@shoal/queue';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type RedisUser, rulesOf, startHardenedRedis } from '../support/hardened-redis.js';
import { startLastingRedis } from '../support/lasting-redis.js';
import { startOwnRedis } from '../support/own-redis.js';
import { startApi, startWebhooks, startWorker } from '../support/processes.js';
import { openBench, uniqueQueue } from '../support/queue-harness.js';
import { startRedisReplica } from '../support/redis-replica.js';

type Role = Parameters<typeof waitForRedis>[1]['role'];

/** The reason why it is refused; null where it is not. `told` gets the warnings. */
async function refusal(target: RedisTarget, role: Role = 'api', told: string[] = []): Promise<string | null> {
  const onWarning = ({ message }: Error) => void told.push(message);
  try {
    await waitForRedis(target, { role, ms: 3000, onWarning });
    return null;
  } catch (error) {
    expect(error).toMatchObject({ code: 'redis_unavailable' });
    return (error as Error).message;
  }
}

function clientOf(url: string): Redis {
  const redis = new Redis(url, { disableClientInfo: true });
  onTestFinished(() => redis.disconnect());
  return redis;
}

describe('a policy that evicts', () => {
  test('is refused by every process', async () => {
    const redisUrl = await startOwnRedis({ 'maxmemory-policy': 'allkeys-lru' });
    const env = { SHOAL_MODELS: 'wordnet-topic', SHOAL_SECRET_KEY: `${'A'.repeat(43)}=` };
    for (const start of [startApi, startWorker, startWebhooks]) {
      await expect(start({ redisUrl, env })).rejects.toThrow(/\nthis Redis may evict accepted jobs .*noeviction.*$/);
    }
  });

  test.each(['volatile-lru', 'volatile-ttl', 'allkeys-random'])(
    '%s too: results have a time to live',
    async (policy) => {
      const redisUrl = await startOwnRedis({ 'maxmemory-policy': policy });
      expect(await refusal({ redisUrl })).toMatch(new RegExp(`maxmemory-policy is ${policy}.*set maxmemory-policy`));
    },
  );

  test('is accepted where a setting says so, with a warning', async () => {
    const redisUrl = await startOwnRedis({ 'maxmemory-policy': 'allkeys-lru' });
    const told: string[] = [];
    expect(await refusal({ redisUrl, allowEviction: true }, 'worker', told)).toBeNull();
    expect(told).toEqual([expect.stringMatching(/jobs will be lost; SHOAL_REDIS_ALLOW_EVICTION is set/)]);
  });

  test('that is set under way is told by readiness and to the log', async () => {
    const redisUrl = await startOwnRedis();
    const told: string[] = [];
    const bench = await openBench({ redisUrl, onError: ({ message }) => void told.push(message) });
    await bench.store.ping();
    await clientOf(redisUrl).config('SET', 'maxmemory-policy', 'allkeys-lfu');
    await expect(bench.store.ping()).rejects.toThrow(/may evict accepted jobs \(maxmemory-policy is allkeys-lfu\)/);
    expect(told).toEqual([expect.stringMatching(/allkeys-lfu/)]);
  });
});

describe('a database', () => {
  test('that is not there is refused, and nothing is written to another', async () => {
    const redisUrl = await startOwnRedis({ databases: '4' });
    expect(await refusal({ redisUrl: `${redisUrl}/4` })).toMatch(/the database that REDIS_URL names .*out of range/);
    const opened = openJobStore({
      redisUrl: `${redisUrl}/99999999999`,
      queues: [uniqueQueue()],
      tenantCapTokens: 1,
      queueCapTokens: 1,
      memoryBudget: 1,
      tenantMemoryShare: 1,
      clock: Date.now,
      onError: () => undefined,
    });
    await expect(opened).rejects.toThrow(/the database that REDIS_URL names cannot be used/);
    expect(await clientOf(redisUrl).dbsize()).toBe(0);
  });

  test('that is there is the one that is used', async () => {
    const redisUrl = await startOwnRedis();
    const bench = await openBench({ redisUrl: `${redisUrl}/3` });
    await bench.startWorker();
    await bench.end(await bench.submit(1));
    expect(await clientOf(redisUrl).info('keyspace')).toMatch(/db3:/);
    expect(await clientOf(redisUrl).dbsize()).toBe(0);
  });
});

test('a read-only replica is refused as what it is', async () => {
  const { url } = await startRedisReplica(await startLastingRedis());
  expect(await refusal({ redisUrl: url })).toBe('this Redis is a read-only replica (READONLY); the primary is needed');
});

describe('a user who may not do what is needed', () => {
  const ROLES: Record<Role, RedisUser> = { api: 'shoal', worker: 'shoal-worker', webhooks: 'shoal-webhooks' };
  /** Of connections and Clusters, or harmless where it is missing. */
  const ASIDE = /^(select|client\||asking|readonly|readwrite|cluster\||unsubscribe|multi|info)/;

  test.each(Object.entries(ROLES) as [Role, RedisUser][])('of %s: what is missing is named', async (role, user) => {
    const { urlOf } = await startHardenedRedis();
    const redisUrl = urlOf(user);
    expect(await refusal({ redisUrl }, role)).toBeNull();
    const admin = clientOf(urlOf('admin'));
    const rules = rulesOf('x')
      .split('\n')
      .find((line) => line.startsWith(`user ${user} `));
    const commands = rules!.split(' ').flatMap((rule) => (rule.startsWith('+') ? [rule.slice(1)] : []));
    const needed = commands.filter((command) => !ASIDE.test(command));
    expect(needed.length).toBeGreaterThan(50);
    await admin.call('ACL', 'SETUSER', user, ...needed.map((command) => `-${command}`));
    const named = /may not use (.*); docs/.exec((await refusal({ redisUrl }, role))!)![1]!.split(', ');
    expect(named.toSorted()).toEqual(needed.map((command) => command.toUpperCase()).toSorted());
  });

  test('keys and channels too', async () => {
    const { urlOf } = await startHardenedRedis();
    const admin = clientOf(urlOf('admin'));
    await admin.call('ACL', 'SETUSER', 'shoal', 'resetkeys', '~{shoal:*');
    expect(await refusal({ redisUrl: urlOf('shoal') })).toMatch(
      /may not use SET on keys of Shoal, SADD on keys of Shoal, ZADD on keys/,
    );
    await admin.call('ACL', 'SETUSER', 'shoal', 'resetkeys', '~*', 'resetchannels');
    expect(await refusal({ redisUrl: urlOf('shoal') })).toMatch(
      /may not use PUBLISH on channels.*SUBSCRIBE on channels/,
    );
    await admin.call('ACL', 'SETUSER', 'shoal', '-multi');
    expect(await refusal({ redisUrl: urlOf('shoal') })).toMatch(/may not use MULTI;/);
    await admin.call('ACL', 'SETUSER', 'shoal', '+multi', '-select');
    expect(await refusal({ redisUrl: `${urlOf('shoal')}/1` })).toMatch(/the database .* cannot be used .*select/);
  });

  test('none of it leaves anything behind', async () => {
    const { urlOf } = await startHardenedRedis();
    expect(await refusal({ redisUrl: urlOf('shoal') })).toBeNull();
    expect(await clientOf(urlOf('admin')).dbsize()).toBe(0);
  });
});
