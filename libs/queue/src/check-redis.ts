/** Whether Redis answers and is one that Shoal can work with: looked at once, at the start of a process. */
import { ShoalError } from '@shoal/contracts';
import { Cluster, type Redis } from 'ioredis';
import { openFailFast, openNamedServer, type RedisClient, type RedisTarget } from './redis.js';

/** Resolves once a Redis that fits answers at `target`; throws `redis_unavailable` where none does in `ms`. */
export async function waitForRedis(target: RedisTarget, ms = 5000): Promise<void> {
  const redis = openFailFast(target, () => undefined);
  try {
    await checkRedis(redis, target, ms);
  } finally {
    redis.disconnect();
  }
}

/**
 * Waits until the connection is ready, at most `ms`; then `redis_unavailable`, with the last reason. Refuses servers older
 * than Redis 7, and a cluster where one server is expected or the other way round.
 *
 * Of a cluster one node is enough: others may be away. Those that are there are connected when this resolves.
 */
export async function checkRedis(redis: RedisClient, target: RedisTarget, ms: number): Promise<void> {
  if (!(redis instanceof Cluster)) {
    await checkServer(redis, target, ms);
    return;
  }
  // Of what is wrong with a node, the cluster's client only tells that it could not be asked.
  const named = openNamedServer(target, () => undefined);
  try {
    await checkServer(named, target, ms);
  } finally {
    named.disconnect();
  }
  await untilReady(redis, ms);
  await Promise.allSettled(redis.nodes('master').map((node) => node.ping()));
}

/** Rejects where neither the server nor any node of the cluster answers. */
export async function pingAny(redis: RedisClient): Promise<void> {
  if (redis instanceof Cluster) await Promise.any(redis.nodes('master').map((node) => node.ping()));
  else await redis.ping();
}

async function checkServer(redis: Redis, { redisUrl, redisCluster = false }: RedisTarget, ms: number): Promise<void> {
  await untilReady(redis, ms, redisUrl.startsWith('redis:') ? '; write rediss:// where it expects TLS' : '');
  const info = await redis.info('server');
  const version = /^redis_version:(\d+)/m.exec(info)?.[1];
  if (version !== undefined && Number(version) < 7) {
    throw new ShoalError('redis_unavailable', `Redis 7 or newer is needed (script flags); this one is ${version}`);
  }
  const isNode = /^redis_mode:cluster/m.test(info);
  if (isNode && !redisCluster) {
    throw new ShoalError('redis_unavailable', 'this Redis is a node of a Cluster: set SHOAL_REDIS_CLUSTER=true');
  }
  if (!isNode && redisCluster) {
    throw new ShoalError('redis_unavailable', 'this Redis is no Cluster: leave SHOAL_REDIS_CLUSTER out');
  }
}

/** `whenClosed` is what is to be thought of where the server closes the connection. */
async function untilReady(redis: RedisClient, ms: number, whenClosed = ''): Promise<void> {
  if (redis.status === 'ready') return;
  let reason = '';
  let timer: NodeJS.Timeout | undefined;
  const noteError = ({ message }: Error) => {
    reason = message.includes('ECONNRESET') ? `${message}${whenClosed}` : message;
  };
  const noteClose = () => {
    reason ||= `it closes the connection${whenClosed}`;
  };
  let onReady = () => {};
  redis.on('error', noteError);
  redis.on('close', noteClose);
  try {
    await new Promise<void>((resolve, reject) => {
      onReady = resolve;
      redis.once('ready', onReady);
      timer = setTimeout(() => {
        const why = reason === '' ? '' : ` (${reason})`;
        reject(new ShoalError('redis_unavailable', `Redis did not answer within ${ms / 1000} s${why}`));
      }, ms);
    });
  } finally {
    clearTimeout(timer);
    redis.off('ready', onReady);
    redis.off('error', noteError);
    redis.off('close', noteClose);
  }
}
