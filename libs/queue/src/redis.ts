/** Connections to Redis: API-side ones fail fast, worker-side ones wait for Redis to come back. */
import { ShoalError } from '@shoal/contracts';
import { Redis, type RedisOptions } from 'ioredis';

/** A request must be answered within 2 s when Redis is away (reply 503), so a command gets 1.5 s. */
const COMMAND_TIMEOUT_MS = 1500;
const MAX_RECONNECT_MS = 1000;

const reconnect = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_MS);

type Profile = Pick<
  RedisOptions,
  'enableOfflineQueue' | 'maxRetriesPerRequest' | 'commandTimeout' | 'connectTimeout' | 'autoResubscribe'
>;

function open(url: string, options: Profile, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, { retryStrategy: reconnect, ...options });
  redis.on('error', onError);
  return redis;
}

/** For callers that wait: commands fail at once while Redis is away. */
export function openFailFast(url: string, onError: (error: Error) => void): Redis {
  return open(
    url,
    { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS, connectTimeout: 1500 },
    onError,
  );
}

/** For workers: commands wait and are sent again after a reconnect, so every script must bear being run twice. */
export function openPatient(url: string, onError: (error: Error) => void): Redis {
  return open(url, { maxRetriesPerRequest: null }, onError);
}

/** For pub/sub: the owner subscribes on every `ready`, because it must read again what it missed. */
export function openSubscriber(url: string, onError: (error: Error) => void): Redis {
  return open(url, { maxRetriesPerRequest: null, autoResubscribe: false }, onError);
}

/** Waits until the connection is ready, at most `ms`; then `redis_unavailable`. Refuses servers older than Redis 7. */
export async function checkRedis(redis: Redis, ms: number): Promise<void> {
  if (redis.status !== 'ready') {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        redis.off('ready', ready);
        reject(new ShoalError('redis_unavailable', `Redis did not answer within ${ms / 1000} s`));
      }, ms);
      const ready = () => {
        clearTimeout(timer);
        resolve();
      };
      redis.once('ready', ready);
    });
  }
  const version = /^redis_version:(\d+)/m.exec(await redis.info('server'))?.[1];
  if (version !== undefined && Number(version) < 7) {
    throw new ShoalError('redis_unavailable', `Redis 7 or newer is needed (script flags); this one is ${version}`);
  }
}

/** What a failed command means to a caller: Redis out of memory, or away. ShoalErrors pass. */
export function redisError(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/\bOOM\b/.test(message)) {
    return new ShoalError('memory_full', 'Redis is out of memory; repeat the request later', {
      cause: error,
      retryAfter: 5,
    });
  }
  if (/^(ERR|WRONGTYPE|NOPERM|NOSCRIPT|CROSSSLOT|EXECABORT)/.test(message)) {
    return new ShoalError('internal_error', 'The queue refused a command', { cause: error });
  }
  return new ShoalError(
    'redis_unavailable',
    'The queue cannot be reached; it is unknown whether the request took effect: repeat it with the same Idempotency-Key',
    { cause: error, retryAfter: 1 },
  );
}

/** Resolves once a Redis that fits answers at `url`; throws `redis_unavailable` where none does in `ms`. */
export async function waitForRedis(url: string, ms = 5000): Promise<void> {
  const redis = openFailFast(url, () => undefined);
  try {
    await checkRedis(redis, ms);
  } finally {
    redis.disconnect();
  }
}
