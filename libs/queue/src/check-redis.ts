/** Whether Redis answers and is one that Shoal can work with: looked at once, at the start of a process. */
import { ShoalError } from '@shoal/contracts';
import { Cluster, type Redis } from 'ioredis';
import { ReadOnlyError } from './primary-connector.js';
import { openFailFast, openNamedServer, type RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';
import { evictionOf } from './redis-health.js';
import { missingRights, type Role } from './redis-rights.js';
import type { RedisTarget } from './redis-target.js';

export interface CheckOptions {
  /** What for: rights that only others need are not asked for. */
  readonly role: Role;
  /** How long Redis may take to answer; 5 s where left out. */
  readonly ms?: number;
  /** Told of what is dangerous and was asked for. */
  readonly onWarning: (warning: Error) => void;
}

/** Resolves once a Redis that fits answers at `target`; throws `redis_unavailable`, with the reason, where none does. */
export async function waitForRedis(target: RedisTarget, options: CheckOptions): Promise<void> {
  const redis = openFailFast(target, () => undefined);
  try {
    await checkRedis(redis, target, options);
  } catch (error) {
    throw redisError(error);
  } finally {
    redis.disconnect();
  }
}

/**
 * Waits until the connection is ready, at most `ms`; then `redis_unavailable`, with the last reason. Refuses servers older
 * than Redis 7, a cluster where one server is expected or the other way round, one that may evict jobs, and a user who lacks
 * what Shoal needs.
 *
 * Of a cluster one node is enough: others may be away. Those that are there are connected when this resolves.
 */
export async function checkRedis(redis: RedisClient, target: RedisTarget, options: CheckOptions): Promise<void> {
  const { ms = 5000 } = options;
  // Of what is wrong with a node, the cluster's client only tells that it could not be asked.
  const named = openNamedServer(target, () => undefined);
  try {
    await checkServer(named, target, options);
  } finally {
    named.disconnect();
  }
  await untilConnected(redis, ms);
}

/** Waits until commands can be sent, at most `ms`. Of a cluster: to each node that is there, which ready alone does not say. */
export async function untilConnected(redis: RedisClient, ms: number): Promise<void> {
  await untilReady(redis, ms);
  if (redis instanceof Cluster) await Promise.allSettled(redis.nodes('master').map((node) => node.ping()));
}

async function checkServer(redis: Redis, target: RedisTarget, { role, ms = 5000, onWarning }: CheckOptions) {
  const { redisUrl, redisCluster = false, allowEviction = false } = target;
  await untilReady(redis, ms, redisUrl.startsWith('redis:') ? '; write rediss:// where it expects TLS' : '');
  const missing = await missingRights(redis, role);
  if (missing.length > 0) {
    throw unfit(`the user of REDIS_URL may not use ${missing.join(', ')}; docs/redis.md lists what it needs`);
  }
  const info = await redis.info('all');
  // Valkey gives the version of Redis that it is compatible with here, and its own elsewhere.
  const version = /^redis_version:(\d+)/m.exec(info)?.[1];
  if (version !== undefined && Number(version) < 7) {
    throw unfit(`Redis 7 or newer is needed (script flags); this one is ${version}`);
  }
  const isNode = /^redis_mode:cluster/m.test(info);
  if (isNode && !redisCluster) throw unfit('this Redis is a node of a Cluster: set SHOAL_REDIS_CLUSTER=true');
  if (!isNode && redisCluster) throw unfit('this Redis is no Cluster: leave SHOAL_REDIS_CLUSTER out');
  const eviction = evictionOf(info);
  if (eviction === null) return;
  if (!allowEviction) {
    throw unfit(`${eviction}: set maxmemory-policy to noeviction (or SHOAL_REDIS_ALLOW_EVICTION=true, and lose jobs)`);
  }
  onWarning(new Error(`${eviction}: jobs will be lost; SHOAL_REDIS_ALLOW_EVICTION is set`));
}

function unfit(reason: string): ShoalError {
  return new ShoalError('redis_unavailable', reason);
}

/** `whenClosed` is what is to be thought of where the server closes the connection. */
async function untilReady(redis: RedisClient, ms: number, whenClosed = ''): Promise<void> {
  if (redis.status === 'ready') return;
  let reason: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  let settle = { onReady: () => {}, reject: (_: Error) => {} };
  const noteError = (error: Error & { command?: { readonly name: string } }) => {
    // It stays like this: there is nothing to wait for.
    if (error.command?.name === 'select') {
      settle.reject(unfit(`the database that REDIS_URL names cannot be used (${error.message})`));
    }
    const closed = error.message.includes('ECONNRESET') ? whenClosed : '';
    // That all Sentinels failed says less than how each did.
    if (reason === undefined || !error.message.startsWith('All sentinels')) {
      reason = closed === '' ? error : new Error(`${error.message}${closed}`);
    }
  };
  const noteClose = () => {
    reason ??= new Error(`it closes the connection${whenClosed}`);
  };
  redis.on('error', noteError);
  redis.on('sentinelError', noteError);
  redis.on('close', noteClose);
  try {
    await new Promise<void>((resolve, reject) => {
      settle = { onReady: resolve, reject };
      redis.once('ready', settle.onReady);
      timer = setTimeout(() => {
        const why = reason === undefined ? '' : ` (${reason.message})`;
        const late = `Redis did not answer within ${ms / 1000} s${why}`;
        reject(unfit(reason instanceof ReadOnlyError ? reason.message : late));
      }, ms);
    });
  } finally {
    clearTimeout(timer);
    redis.off('ready', settle.onReady);
    redis.off('error', noteError);
    redis.off('sentinelError', noteError);
    redis.off('close', noteClose);
  }
}
