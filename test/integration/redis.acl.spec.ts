import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type HardenedRedis, type RedisUser, startHardenedRedis } from '../support/hardened-redis.js';
import { openBench, TENANT } from '../support/queue-harness.js';
import { startReceiver } from '../support/receiver.js';
import { outcomes } from '../support/scripted-model.js';
import { openWebhookBench } from '../support/webhook-bench.js';
import { liveAsJobs, liveAsWebhooks } from '../support/whole-life.js';

type UrlOf = HardenedRedis['urlOf'];

function login(urlOf: UrlOf, user: RedisUser): Redis {
  const redis = new Redis(urlOf(user), { disableClientInfo: true, enableReadyCheck: false });
  onTestFinished(() => redis.disconnect());
  return redis;
}

/** What was refused to whom so far, as `user: what`. */
async function refusals(admin: Redis): Promise<string[]> {
  const log = (await admin.call('ACL', 'LOG')) as unknown[][];
  return log.map((entry) => {
    const field = (name: string) => String(entry[entry.indexOf(name) + 1]);
    return `${field('username')}: ${field('reason')} ${field('object')}`;
  });
}

/** Fails at the first refusal: who is refused may wait for ever. */
async function expectNoRefusal(urlOf: UrlOf, life: Promise<void>): Promise<void> {
  const admin = login(urlOf, 'admin');
  const ended = life.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([ended, pause(500, false)]))) expect(await refusals(admin)).toEqual([]);
  await life;
  expect(await refusals(admin)).toEqual([]);
}

describe('nothing of what Shoal does is refused', () => {
  const ways: Record<string, { workers: RedisUser; webhooks: RedisUser }> = {
    'where all log in as shoal': { workers: 'shoal', webhooks: 'shoal' },
    'where workers and webhooks have users of their own': { workers: 'shoal-worker', webhooks: 'shoal-webhooks' },
  };
  for (const [way, { workers, webhooks }] of Object.entries(ways)) {
    test(way, async () => {
      const { urlOf } = await startHardenedRedis();
      const receiver = await startReceiver();
      const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], {
        redisUrl: urlOf('shoal'),
        workerUrl: urlOf(workers),
        webhooksUrl: urlOf(webhooks),
        testUrl: urlOf('admin'),
      });
      await expectNoRefusal(
        urlOf,
        liveAsJobs(bench).then(() => liveAsWebhooks(bench, receiver)),
      );
    });
  }
});

test('all that was written is there again after a restart, what transactions and scripts wrote as well', async () => {
  const { urlOf, restart } = await startHardenedRedis();
  const bench = await openBench({ redisUrl: urlOf('shoal'), testUrl: urlOf('admin') });
  const id = await bench.submit([1, 2, 3]);
  // Until what was enqueued is told.
  await expect.poll(() => bench.keys()).not.toContain('commits');
  const before = await bench.keys();
  expect(before).toContain('chunks:prioritized');
  await restart();
  expect(await bench.keys()).toEqual(before);
  await bench.startWorker();
  // Until all of its connections are there again, the store refuses at once.
  const reached = () =>
    Promise.all([bench.store.ping(), bench.store.get(TENANT, id)]).then(
      () => true,
      () => false,
    );
  await expect.poll(reached).toBe(true);
  expect(outcomes(await bench.end(id))).toEqual([2, 4, 6]);
});

describe('what Shoal has no need for is refused', () => {
  const HOSTILE: readonly string[][] = [
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['CONFIG', 'GET', '*'],
    ['CONFIG', 'SET', 'dir', '/tmp'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['GET', 'other:secret'],
    ['SET', 'other:secret', 'x'],
    ['DEBUG', 'SLEEP', '0'],
    ['SUBSCRIBE', 'other'],
    ['PSUBSCRIBE', '*'],
    ['PUBLISH', 'other', 'x'],
    ['EVAL', "return redis.call('GET', 'other:secret')", '0'],
    ['EVAL', "return redis.call('FLUSHALL')", '0'],
    ['SCRIPT', 'FLUSH'],
    ['FUNCTION', 'LIST'],
    ['MODULE', 'LIST'],
    ['ACL', 'LIST'],
    ['ACL', 'SETUSER', 'x'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'],
    ['MONITOR'],
    ['SAVE'],
    ['BGREWRITEAOF'],
    ['SHUTDOWN', 'NOSAVE'],
    ['MIGRATE', '127.0.0.1', '1', '', '0', '1', 'KEYS', '{shoal:a.1.b.0}:state'],
    ['SLOWLOG', 'GET'],
  ];

  /** By the user's rules, as Redis 7.0 and later ones word it; the last is DEBUG's, that is off for everybody. */
  const REFUSED =
    /^NOPERM|^ERR The user executing the script can't|^ERR ACL failure in script|^ERR DEBUG command not allowed/;

  async function verdicts(redis: Redis, commands: readonly string[][]): Promise<string[]> {
    const verdict = async ([name = '', ...args]: string[]) =>
      redis.call(name, ...args).then(
        () => `allowed: ${name} ${args.join(' ')}`,
        (error: Error) => (REFUSED.test(error.message) ? 'refused' : `${name} ${args.join(' ')}: ${error.message}`),
      );
    const found: string[] = [];
    for (const command of commands) found.push(await verdict(command));
    return found.filter((text) => text !== 'refused');
  }

  test('to everybody but the administrator', async () => {
    const { urlOf } = await startHardenedRedis();
    for (const user of ['shoal', 'shoal-worker', 'shoal-webhooks', 'metrics'] as const) {
      expect([user, await verdicts(login(urlOf, user), HOSTILE)]).toEqual([user, []]);
    }
  });

  test('to whoever does not log in', async () => {
    const { urlOf } = await startHardenedRedis();
    const { port } = new URL(urlOf('shoal'));
    const stranger = new Redis({ port: Number(port), disableClientInfo: true, enableReadyCheck: false, protocol: 2 });
    onTestFinished(() => stranger.disconnect());
    await expect(stranger.ping()).rejects.toThrow(/NOAUTH/);
  });

  const QUEUE = '{shoal:model.1.fp32.0}';
  const OWN = '{shoal:webhooks:acme}';

  test('to workers: webhooks, their secrets, and Idempotency-Keys', async () => {
    const { urlOf } = await startHardenedRedis();
    const commands = [
      ['HGETALL', `${OWN}:secret`],
      ['HGETALL', `${OWN}:endpoint:ep_1`],
      ['HGET', '{shoal:webhooks}:events', 'x'],
      ['HSET', `${OWN}:endpoint:ep_1`, 'url', 'https://elsewhere.example'],
      ['GET', 'shoal:idempotency:{acme key}'],
      ['EVAL', `return redis.call('HGETALL', '${OWN}:secret')`, '1', QUEUE],
    ];
    expect(await verdicts(login(urlOf, 'shoal-worker'), commands)).toEqual([]);
  });

  test('to webhooks: jobs, beyond reading their records', async () => {
    const { urlOf } = await startHardenedRedis();
    const webhooks = login(urlOf, 'shoal-webhooks');
    expect(await webhooks.hgetall(`${QUEUE}:job:x`)).toEqual({});
    const commands = [
      ['HSET', `${QUEUE}:job:x`, 'state', 'completed'],
      ['DEL', `${QUEUE}:job:x`],
      ['HGETALL', `${QUEUE}:state`],
      ['ZADD', `${QUEUE}:chunks:prioritized`, '1', 'x'],
      ['EVAL', `return redis.call('HSET', '${QUEUE}:job:x', 'state', 'failed')`, '1', QUEUE],
      ['SADD', 'shoal:queues', 'x'],
      ['SUBSCRIBE', 'shoal:ended'],
    ];
    expect(await verdicts(webhooks, commands)).toEqual([]);
  });
});
