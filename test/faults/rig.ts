/** What scenarios share: a fleet on a Redis that can be hurt, what was announced meanwhile, and the counts at the end. */
import type { JobView } from '@shoal/contracts';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { type Fleet, type FleetOptions, openFleet } from '../support/fleet.js';
import { type LastingRedis, startLastingRedis } from '../support/lasting-redis.js';
import type { Load } from './load.js';
import type { Row } from './scenario.js';

export interface Rig extends Fleet {
  readonly server: LastingRedis;
  /** Waits for Redis however long it is away, unlike the fleet's. */
  readonly redis: Redis;
  /** How often each job's end was announced; announcements while the subscriber's connection is cut are missed. */
  readonly endings: ReadonlyMap<string, number>;
  /** Chunks that no worker has fetched, as of the last time Redis answered. */
  waiting(): number;
  /** BullMQ's own events of one kind since the start. */
  countEvents(kind: string): Promise<number>;
}

export interface RigOptions extends FleetOptions {
  /** How the processes reach the server, where not straight: the URL of what is in between. */
  readonly through?: (redisUrl: string) => Promise<string>;
}

export async function openRig({ through, ...options }: RigOptions): Promise<Rig> {
  const server = await startLastingRedis(options.redis);
  const fleet = await openFleet({ ...options, redisUrl: (await through?.(server.url)) ?? server.url });
  const redis = openPatient(server.url);
  const endings = new Map<string, number>();
  const subscriber = openPatient(server.url);
  subscriber.on('message', (_channel: string, ids: string) => {
    for (const id of ids.split(' ')) endings.set(id, (endings.get(id) ?? 0) + 1);
  });
  await subscriber.subscribe('shoal:ended');
  let waiting = 0;
  const count = async () => {
    const chunks = `${fleet.tag}:chunks`;
    const [fresh, again] = await Promise.all([redis.zcard(`${chunks}:prioritized`), redis.llen(`${chunks}:wait`)]);
    waiting = fresh + again;
  };
  const timer = setInterval(() => void count().catch(() => undefined), 50);
  onTestFinished(() => clearInterval(timer));
  return {
    ...fleet,
    async startApi() {
      const api = await fleet.startApi();
      // BullMQ tells of every stall in its event stream: keep all of it, where the API has just said to keep little.
      await redis.hset(`${fleet.tag}:chunks:meta`, 'opts.maxLenEvents', 10_000_000);
      return api;
    },
    server,
    redis,
    endings,
    waiting: () => waiting,
    async countEvents(kind) {
      const events = await redis.xrange(`${fleet.tag}:chunks:events`, '-', '+');
      return events.filter(([, [, value]]) => value === kind).length;
    },
  };
}

function openPatient(url: string): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 100 });
  redis.on('error', () => undefined);
  onTestFinished(() => redis.disconnect());
  return redis;
}

/** Redis's clock in Unix ms, as in records. */
export async function redisTime(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

/**
 * Waits for every acknowledged job and counts: lost are those that are not there or did not complete with all of their
 * results, duplicated those whose end was announced or accounted more than once.
 */
export async function audit(rig: Rig, load: Load, row: Row): Promise<JobView[]> {
  const jobs = await load.settle();
  row.jobs = load.acked.size;
  const complete = jobs.filter(
    (job) => job?.status === 'completed' && job.items.done === job.items.total && !job.items.failed,
  );
  row.lost = load.acked.size - complete.length;
  const twice = [...rig.endings.values()].filter((count) => count > 1).length;
  row.duplicated = twice + (new Set(load.acked.values()).size < load.acked.size ? 1 : 0);
  const seen = jobs.filter((job) => job !== null);
  const odd = seen
    .filter(({ status }) => status !== 'completed')
    .map(({ id, status, error }) => ({ id, status, error }));
  expect(odd).toEqual([]);
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  // Ending a job gives back what it took and counts its tokens as served, once: twice would show here for ever.
  const tokens = seen.reduce((sum, job) => sum + job.usage.input_tokens, 0);
  expect(await countersOf(rig)).toEqual({ jobs: 0, tokens: 0, reserved: 0, served: tokens, outstanding: {} });
  return seen;
}

export async function countersOf(rig: Pick<Rig, 'redis' | 'tag'>): Promise<Record<string, unknown>> {
  const [jobs, tokens, reserved, served] = await rig.redis.hmget(
    `${rig.tag}:state`,
    'jobs',
    'tokens',
    'reserved',
    'served',
  );
  const outstanding = await rig.redis.hgetall(`${rig.tag}:outstanding`);
  return {
    jobs: Number(jobs),
    tokens: Number(tokens),
    reserved: Number(reserved),
    served: Number(served),
    outstanding,
  };
}

/** What may stand without a time to live when nothing is left to do (docs/redis.md): all else must go. */
const OF_A_QUEUE = 'state|limits|coldstarts|speeds|working|chunks:(meta|id|pc|events|marker)';
const OF_MODELS = 'wishes|processes|told|version';
const OF_FILES = 'state|stores';
const LASTING = new RegExp(
  `^(shoal:queues|\\{shoal:models\\}:(${OF_MODELS})|\\{shoal:files\\}:(${OF_FILES})|\\{shoal:[^}]+\\}:(${OF_A_QUEUE}))$`,
);

export async function keysWithoutExpiry({ redis }: Pick<Rig, 'redis'>): Promise<string[]> {
  const keys = await redis.keys('*');
  const lives = await Promise.all(keys.map((key) => redis.pttl(key)));
  return keys.filter((key, n) => lives[n] === -1 && !LASTING.test(key));
}
