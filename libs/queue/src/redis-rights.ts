/**
 * Which commands, keys and channels Shoal has need of, and which of them a user of Redis may not use. Asked with a
 * transaction that is discarded: Redis judges each command as it is queued, by name, and runs none.
 */
import type { Redis } from 'ioredis';
import { ENDED_CHANNEL, MODELS_TAG, QUEUES_KEY, queueTag, SCHEDULE_KEY } from './keys.js';
import { OUTBOX_CHANNEL } from './webhooks/keys.js';

/** Whose rights: each process has less to do with Redis than all of them together. */
export type Role = 'api' | 'worker' | 'webhooks';

/** As users.acl of docker/redis has them; `K` is a key of the role, `C` a channel. */
const EVERYBODY = [
  ...['eval x 1 K', 'evalsha x 1 K', 'script load x', 'time', 'ping', 'info'],
  ...['exists K', 'del K', 'unlink K', 'persist K', 'pexpire K 1', 'pttl K', 'get K', 'set K x', 'incr K'],
  ...['hget K x', 'hset K x x', 'hmget K x', 'hmset K x x', 'hdel K x', 'hgetall K', 'hexists K x', 'hincrby K x 1'],
  ...['llen K', 'lrange K 0 0', 'lrem K 0 x', 'lindex K 0', 'lpush K x', 'rpush K x', 'lpop K', 'rpop K', 'lpos K x'],
  ...['ltrim K 0 0', 'rpoplpush K K', 'sadd K x', 'srem K x', 'scard K', 'smembers K'],
  ...['zadd K 0 x', 'zrem K x', 'zscore K x', 'zcard K', 'zcount K 0 0', 'zrange K 0 0', 'zrevrange K 0 0'],
  ...['zrangebyscore K 0 0', 'zrevrangebyscore K 0 0', 'zremrangebyscore K 0 0', 'zremrangebyrank K 0 0', 'zpopmin K'],
  ...['bzpopmin K 1', 'xadd K * x x', 'xtrim K maxlen 1'],
];
const STREAMS = ['hsetnx K x x', 'hstrlen K x', 'xdel K 0-1', 'xlen K', 'xrange K - +', 'xrevrange K + -'];
const QUEUE = queueTag('model.1.fp32.0');
const WEBHOOKS = '{shoal:webhooks}';

const NEEDS: Readonly<Record<Role, { readonly key: string; readonly channel: string; readonly commands: string[] }>> = {
  api: {
    key: `${QUEUE}:check`,
    channel: ENDED_CHANNEL,
    commands: [
      ...EVERYBODY,
      ...STREAMS,
      ...['wait 0 0', 'publish C x', 'zrevrangebylex K + -'],
      ...[
        'set shoal:idempotency:{check} x',
        `sadd ${QUEUES_KEY} x`,
        `zadd ${SCHEDULE_KEY} 0 x`,
        `hset ${WEBHOOKS}:check x x`,
      ],
    ],
  },
  worker: {
    key: `${QUEUE}:check`,
    channel: ENDED_CHANNEL,
    commands: [...EVERYBODY, 'xrange K - +', 'publish C x', `hset ${MODELS_TAG}:check x x`],
  },
  webhooks: {
    key: `${WEBHOOKS}:check`,
    channel: OUTBOX_CHANNEL,
    commands: [...EVERYBODY, ...STREAMS, `evalsha x 1 ${QUEUE}`, `smembers ${QUEUES_KEY}`, `xdel ${QUEUE}:outbox 0-1`],
  },
};

/** What its user may not do, in words; empty where it may do all. `redis` is of no use afterwards. */
export async function missingRights(redis: Redis, role: Role): Promise<string[]> {
  const { key, channel, commands } = NEEDS[role];
  // Before there is a transaction: what is queued must not be run.
  const executed = await refusalOf(redis.call('exec'), 'exec');
  const begun = await refusalOf(redis.call('multi'), 'multi');
  if (begun !== null) return [begun];
  const refusals = await Promise.all(
    commands.map((command) => {
      const [name = '', ...args] = command.split(' ');
      const given = args.map((arg) => (arg === 'K' ? key : arg === 'C' ? channel : arg));
      return refusalOf(redis.call(name, ...given), name);
    }),
  );
  const ended = await refusalOf(redis.call('discard'), 'discard');
  // A subscription cannot be part of a transaction; the connection is of no other use after it.
  const subscribed = await refusalOf(redis.subscribe(channel), 'subscribe');
  return [...new Set([executed, ...refusals, ended, subscribed])].filter((refusal) => refusal !== null);
}

/** Null where it may be run, whatever else became of it. */
async function refusalOf(reply: Promise<unknown>, command: string): Promise<string | null> {
  try {
    await reply;
    return null;
  } catch (error) {
    const { message } = error as Error;
    if (!message.includes('NOPERM')) return null;
    const denied = /'([^']+)' command/.exec(message)?.[1];
    if (denied !== undefined) return denied.toUpperCase();
    return `${command.toUpperCase()} on ${/channel/.test(message) ? 'channels' : 'keys'} of Shoal`;
  }
}
