/**
 * Connections to Redis, one server, one that Sentinels name, or a Cluster: API-side ones fail fast, worker-side ones wait for
 * Redis to come back. Here alone is decided how Redis is reached; everybody else passes a `RedisTarget` on.
 */
import { randomInt } from 'node:crypto';
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { isLate, limitCommands } from './command-timeout.js';
import { ReadOnlyError } from './primary-connector.js';
import { type RedisTarget, sentinelOptions, serverOptions } from './redis-target.js';
import { watchConnection } from './watch-connection.js';

export type { RedisTarget };
export type RedisClient = Redis | Cluster;

type OnError = (error: Error) => void;
/** RESP3's maps are not asked for. */
type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>;
/** As ioredis rejects with what Redis answered. */
type ReplyError = Error & { readonly command?: { readonly name: string } };

/** A request must be answered within 2 s when Redis is away (reply 503), so a command gets 1.5 s. */
const COMMAND_TIMEOUT_MS = 1500;
const CONNECT_TIMEOUT_MS = 3000;
const MAX_RECONNECT_MS = 1000;
/** Between two looks at which node of a cluster serves what; a command that finds its slot moved looks at once. */
const SLOTS_REFRESH_MS = 5000;
/** How long a connection may be without a sign of life: less than a lock of a chunk lasts (10 s). */
const SILENCE_MS = 5000;
/** The same where commands block: BullMQ's do so for 10 s at most. */
const BLOCKING_SILENCE_MS = 15_000;

const reconnect = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_MS);

interface Profile {
  readonly enableOfflineQueue: boolean;
  /** How long a command may take, in ms. */
  readonly commandMs?: number;
  /** Of every connection. */
  readonly connection: Pick<RedisOptions, 'maxRetriesPerRequest' | 'connectTimeout'>;
  /** What happens to commands whose node of a cluster is away or has handed their slot over. */
  readonly redirect: Pick<
    ClusterOptions,
    'maxRedirections' | 'retryDelayOnFailover' | 'retryDelayOnClusterDown' | 'retryDelayOnMoved'
  >;
}

const FAIL_FAST: Profile = {
  enableOfflineQueue: false,
  commandMs: COMMAND_TIMEOUT_MS,
  connection: { maxRetriesPerRequest: 0, connectTimeout: COMMAND_TIMEOUT_MS },
  redirect: { retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 },
};

const PATIENT: Profile = {
  enableOfflineQueue: true,
  connection: { maxRetriesPerRequest: null, connectTimeout: CONNECT_TIMEOUT_MS },
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
  const profile = { ...PATIENT, commandMs: COMMAND_TIMEOUT_MS };
  const subscriber: Redis = openServer(target, profile, onError, {
    autoResubscribe: false,
    retryStrategy: (attempt) => {
      if (beside instanceof Cluster) goElsewhere(subscriber, beside);
      return reconnect(attempt);
    },
  });
  return subscriber;
}

/**
 * False where it did not work. Where it was not answered in time, the connection is given up, and its next `ready` comes:
 * messages may be missed until then.
 */
export async function subscribe(subscriber: Redis, ...channels: string[]): Promise<boolean> {
  try {
    await subscriber.subscribe(...channels);
    return true;
  } catch (error) {
    if (isLate(error)) subscriber.disconnect(true);
    return false;
  }
}

/** Every node of a cluster hears every message, so any will do, and after a trouble another one may do better. */
function goElsewhere({ options }: Redis, cluster: Cluster): void {
  const nodes = cluster.nodes().map(({ options: { host, port } }) => ({ host, port }));
  const others = nodes.filter(({ host, port }) => host !== options.host || port !== options.port);
  if (others.length > 0) Object.assign(options, others[randomInt(others.length)]);
}

function openServer(
  target: RedisTarget,
  profile: Profile,
  onError: OnError,
  own: Partial<ConnectionOptions> = {},
): Redis {
  const { redisSentinels = [] } = target;
  const options: ConnectionOptions = {
    ...(redisSentinels.length > 0 ? sentinelOptions(target, redisSentinels) : serverOptions(target)),
    ...profile.connection,
    enableOfflineQueue: profile.enableOfflineQueue,
    retryStrategy: reconnect,
    sentinelRetryStrategy: reconnect,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    maxLoadingRetryTime: MAX_RECONNECT_MS,
    reconnectOnError: (error: ReplyError) => {
      const verdict = leaveReplica(error);
      if (verdict) onError(new ReadOnlyError());
      return verdict;
    },
    ...own,
  };
  const redis = endsAtOnce(new Redis(options));
  redis.on('error', onError);
  redis.on('sentinelError', onError);
  if (profile.commandMs !== undefined) limitCommands(redis, profile.commandMs);
  const primary = !target.redisCluster;
  watchConnection(redis, { silenceMs: SILENCE_MS, primary });
  // BullMQ blocks on connections that it makes of the one that it is given.
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (override) => {
    const blocking = endsAtOnce(duplicate(override));
    watchConnection(blocking, { silenceMs: BLOCKING_SILENCE_MS, primary });
    return blocking;
  };
  return redis;
}

/**
 * A primary that has become a replica refuses writes, and ends what blocks. The connection is left for a better one, and
 * scripts are sent again there; a command may have been part of a transaction, and is not.
 */
function leaveReplica(error: ReplyError): boolean | 2 {
  if (!/^(READONLY|UNBLOCKED)\b/.test(error.message)) return false;
  return ['evalsha', 'eval'].includes(error.command?.name ?? '') ? 2 : true;
}

function openCluster(target: RedisTarget, profile: Profile, onError: OnError): Cluster {
  const { host, port, ...login } = serverOptions(target);
  const cluster = endsAtOnce(
    new Cluster([{ host, port }], {
      clusterRetryStrategy: reconnect,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      enableOfflineQueue: profile.enableOfflineQueue,
      ...profile.redirect,
      // Names stay names, so that TLS can check them.
      dnsLookup: (address, callback) => callback(null, address),
      redisOptions: { ...login, ...profile.connection },
    }),
  );
  cluster.on('error', onError);
  cluster.on('node error', onError);
  watchNodes(cluster, SILENCE_MS);
  const { commandMs } = profile;
  if (commandMs !== undefined) cluster.on('+node', (node: Redis) => limitCommands(node, commandMs));
  const duplicate = cluster.duplicate.bind(cluster);
  cluster.duplicate = (nodes, options) => watchNodes(endsAtOnce(duplicate(nodes, options)), BLOCKING_SILENCE_MS);
  return cluster;
}

function watchNodes(cluster: Cluster, silenceMs: number): Cluster {
  return cluster.on('+node', (node: Redis) => watchConnection(node, { silenceMs, primary: false }));
}

/**
 * Between two attempts to connect there is no socket whose close would tell of the end: ioredis cancels the next attempt and
 * tells nobody, so whoever awaits the end, or the answer to a command, would wait for ever (BullMQ, when it gives up what
 * blocks). A client that waits to be used is ended on the spot.
 */
function endsAtOnce<Client extends RedisClient>(client: Client): Client {
  const disconnect = client.disconnect.bind(client);
  client.disconnect = (reconnect = false) => {
    if (client.status === 'reconnecting' && !reconnect) client.status = 'wait';
    disconnect(reconnect);
  };
  return client;
}
