/**
 * Connections to Redis, one server or a Cluster: API-side ones fail fast, worker-side ones wait for Redis to come back.
 * Here alone is decided how Redis is reached; everybody else passes a `RedisTarget` on.
 */
import { randomInt } from 'node:crypto';
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

/** Where Redis is, and how it is to be reached. */
export interface RedisTarget {
  /** `redis://user:password@host:port`; `rediss://` for TLS. */
  readonly redisUrl: string;
  /** Certificates (PEM) of the authorities that may sign Redis's, in place of the system's. */
  readonly redisCa?: string | undefined;
  /** True for a Redis Cluster; the URL then names any of its nodes. */
  readonly redisCluster?: boolean | undefined;
}

type OnError = (error: Error) => void;

/** A request must be answered within 2 s when Redis is away (reply 503), so a command gets 1.5 s. */
const COMMAND_TIMEOUT_MS = 1500;
const MAX_RECONNECT_MS = 1000;
/** Between two looks at which node of a cluster serves what; a command that finds its slot moved looks at once. */
const SLOTS_REFRESH_MS = 5000;
/** A subscriber of a cluster whose node does not answer for this long goes to another node. */
const PULSE_MS = 2000;

const reconnect = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_MS);

interface Profile {
  readonly enableOfflineQueue: boolean;
  /** Of every connection. */
  readonly connection: Pick<RedisOptions, 'maxRetriesPerRequest' | 'commandTimeout' | 'connectTimeout'>;
  /** What happens to commands whose node of a cluster is away or has handed their slot over. */
  readonly redirect: Pick<
    ClusterOptions,
    'maxRedirections' | 'retryDelayOnFailover' | 'retryDelayOnClusterDown' | 'retryDelayOnMoved'
  >;
}

const FAIL_FAST: Profile = {
  enableOfflineQueue: false,
  connection: { maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS, connectTimeout: COMMAND_TIMEOUT_MS },
  redirect: { retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 },
};

const PATIENT: Profile = {
  enableOfflineQueue: true,
  connection: { maxRetriesPerRequest: null },
  redirect: {
    maxRedirections: Number.POSITIVE_INFINITY,
    retryDelayOnFailover: 500,
    retryDelayOnClusterDown: 500,
    retryDelayOnMoved: 50,
  },
};

/** For callers that wait: commands fail at once while Redis, or the node of a cluster that they are for, is away. */
export function openFailFast(target: RedisTarget, onError: OnError): RedisClient {
  return target.redisCluster ? openCluster(target, FAIL_FAST, onError) : openServer(target, FAIL_FAST, onError);
}

/** For workers: commands wait and are sent again after a reconnect, so every script must bear being run twice. */
export function openPatient(target: RedisTarget, onError: OnError): RedisClient {
  return target.redisCluster ? openCluster(target, PATIENT, onError) : openServer(target, PATIENT, onError);
}

/** One server, or the one node of a cluster that the URL names, for callers that wait. */
export function openNamedServer(target: RedisTarget, onError: OnError): Redis {
  return openServer(target, FAIL_FAST, onError);
}

/**
 * For pub/sub: the owner subscribes on every `ready`, because it must read again what it missed.
 *
 * @param beside a client of the same target; of a cluster it knows the nodes
 */
export function openSubscriber(target: RedisTarget, beside: RedisClient, onError: OnError): Redis {
  const open = (options: Pick<RedisOptions, 'connectTimeout' | 'retryStrategy'>) => {
    const redis = new Redis({ ...optionsOf(target, PATIENT), autoResubscribe: false, ...options });
    redis.on('error', onError);
    return redis;
  };
  if (!(beside instanceof Cluster)) return open({ retryStrategy: reconnect });
  // Every node of a cluster hears every message, so any will do, and after a trouble another one may do better.
  const subscriber: Redis = open({
    connectTimeout: PULSE_MS,
    retryStrategy: (attempt) => {
      const { host: lastHost, port: lastPort } = subscriber.options;
      const nodes = beside.nodes().map(({ options: { host, port } }) => ({ host, port }));
      const others = nodes.filter(({ host, port }) => host !== lastHost || port !== lastPort);
      if (others.length > 0) Object.assign(subscriber.options, others[randomInt(others.length)]);
      return reconnect(attempt);
    },
  });
  leaveHangingNode(subscriber);
  return subscriber;
}

/** A subscriber that hears nothing cannot tell whether nothing is said: it asks, also while it logs in. */
function leaveHangingNode(subscriber: Redis): void {
  let answered = true;
  const noteAnswer = () => {
    answered = true;
  };
  const pulse = setInterval(() => {
    if (!answered) subscriber.disconnect(true);
    answered = !['connect', 'ready'].includes(subscriber.status);
    if (subscriber.status === 'ready') subscriber.ping().then(noteAnswer, noteAnswer);
  }, PULSE_MS).unref();
  subscriber.on('ready', noteAnswer);
  subscriber.once('end', () => clearInterval(pulse));
}

function openServer(target: RedisTarget, profile: Profile, onError: OnError): Redis {
  const { enableOfflineQueue } = profile;
  const redis = new Redis({ ...optionsOf(target, profile), retryStrategy: reconnect, enableOfflineQueue });
  redis.on('error', onError);
  return redis;
}

function openCluster(target: RedisTarget, profile: Profile, onError: OnError): Cluster {
  const { host, port, ...redisOptions } = optionsOf(target, profile);
  const cluster = new Cluster([{ host, port }], {
    clusterRetryStrategy: reconnect,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    enableOfflineQueue: profile.enableOfflineQueue,
    ...profile.redirect,
    // Names stay names, so that TLS can check them.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions,
  });
  cluster.on('error', onError);
  cluster.on('node error', onError);
  return cluster;
}

type Connection = Profile['connection'] &
  Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls' | 'disableClientInfo'> & {
    readonly host: string;
    readonly port: number;
  };

function optionsOf({ redisUrl, redisCa, redisCluster }: RedisTarget, { connection }: Profile): Connection {
  const { protocol, hostname, port, username, password, pathname } = new URL(redisUrl);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(!redisCluster && /^\/\d+$/.test(pathname) && { db: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: redisCa === undefined ? {} : { ca: redisCa } }),
    // Else each connection begins with a command that least privilege would have to allow.
    disableClientInfo: true,
    ...connection,
  };
}
