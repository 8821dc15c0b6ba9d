/** The API's side of the queue: submit, read, wait, cancel, erase, list. */

import { type JobRecord, Joining, ShoalError } from '@shoal/contracts';
import type { Redis } from 'ioredis';
import { checkRedis, untilConnected } from './check-redis.js';
import { ChunkQueue } from './chunk-queue.js';
import { type Demand, readDemand } from './demand.js';
import { CANCELLED } from './errors.js';
import { Follower } from './follower.js';
import { Gauges } from './gauges.js';
import { listJobs } from './job-lists.js';
import { formatJobId, type JobId, newUlid, QUEUES_KEY, queueTag } from './keys.js';
import { readPlace } from './place.js';
import { Producer } from './producer.js';
import { knownId, Reader } from './reader.js';
import { openFailFast, openSubscriber, type RedisClient, type RedisTarget } from './redis.js';
import { redisError } from './redis-errors.js';
import { RedisHealth } from './redis-health.js';
import type { Replication } from './replication.js';
import { Schedule } from './schedule.js';
import { queueScript } from './scripts.js';
import { Sweeper } from './sweeper.js';
import type {
  Admitted,
  FollowPosition,
  JobFilter,
  JobPage,
  JobProgress,
  JobStore,
  NewJob,
  QueueDepth,
  QueuePlace,
} from './types.js';
import { Waiters } from './waiters.js';

export interface JobStoreOptions extends RedisTarget {
  /** Every queue this store may see; jobs of others answer `job_not_found`. */
  readonly queues: readonly string[];
  readonly tenantCapTokens: number;
  /** Per queue, where a model sets its own; else `queueCapTokens`. */
  readonly queueCaps?: Readonly<Record<string, number>>;
  readonly queueCapTokens: number;
  /** Bytes for jobs and results where Redis has no `maxmemory`. */
  readonly memoryBudget: number;
  /** Share of the memory for jobs and results that one tenant may take, over all queues. */
  readonly tenantMemoryShare: number;
  /** Left out: Redis's own word is enough. */
  readonly replication?: Replication;
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

const NO_REPLICATION: Replication = { minReplicas: 0, timeoutMs: 0 };
const cancelScript = queueScript<number>('cancel.lua');

export type OpenJobStore = JobStore & { close(): Promise<void> };

interface Connections {
  readonly redis: RedisClient;
  /** Of the producers; the same as the others' unless replicas are waited for. */
  readonly writer: RedisClient;
  /** Of the reader, for large results. */
  readonly large: RedisClient;
  readonly subscriber: Redis;
}

/** Connects, checks Redis, and starts the sweeper. Throws `redis_unavailable` where Redis does not answer in 5 s. */
export async function openJobStore(options: JobStoreOptions): Promise<OpenJobStore> {
  const { replication = NO_REPLICATION, onError } = options;
  const redis = openFailFast(options, onError);
  const writer = replication.minReplicas === 0 ? redis : openFailFast(options, onError);
  const large = openFailFast(options, onError);
  const connections = { redis, writer, large, subscriber: openSubscriber(options, redis, onError) };
  const schedule = new Schedule(redis, options.clock);
  const gauges = new Gauges({ ...options, redis, schedule });
  try {
    await checkRedis(redis, options, { role: 'api', onWarning: onError });
    await Promise.all([writer, large].map((connection) => untilConnected(connection, 5000)));
    await gauges.start();
    if (options.queues.length > 0) await redis.sadd(QUEUES_KEY, ...options.queues);
    await schedule.announceAll(options.queues);
  } catch (error) {
    for (const connection of Object.values(connections)) connection.disconnect();
    throw redisError(error);
  }
  return new RedisJobStore(options, connections, schedule, gauges);
}

class RedisJobStore implements OpenJobStore {
  readonly #options: JobStoreOptions;
  readonly #redis: RedisClient;
  readonly #connections: Connections;
  readonly #schedule: Schedule;
  readonly #gauges: Gauges;
  readonly #health: RedisHealth;
  readonly #waiters: Waiters;
  readonly #reader: Reader;
  readonly #follower: Follower;
  readonly #chunks: ReadonlyMap<string, ChunkQueue>;
  readonly #producers: ReadonlyMap<string, Producer>;
  readonly #sweeper: Sweeper;

  constructor(options: JobStoreOptions, connections: Connections, schedule: Schedule, gauges: Gauges) {
    const { redis, writer, large, subscriber } = connections;
    this.#options = options;
    this.#redis = redis;
    this.#connections = connections;
    this.#schedule = schedule;
    this.#gauges = gauges;
    this.#health = new RedisHealth(redis, options);
    this.#waiters = new Waiters(subscriber);
    this.#reader = new Reader(redis, large);
    this.#follower = new Follower(redis, this.#reader, this.#waiters);
    const { clock, tenantCapTokens: tenantCap, replication = NO_REPLICATION } = options;
    this.#chunks = new Map(options.queues.map((queue) => [queue, new ChunkQueue(writer, queue)]));
    const shared = { redis: writer, gauges, schedule: new Schedule(writer, clock), tenantCap, replication, clock };
    this.#producers = new Map(
      [...this.#chunks].map(([queue, chunks]) => {
        const queueCap = options.queueCaps?.[queue] ?? options.queueCapTokens;
        return [queue, new Producer({ ...shared, queue, chunks, queueCap })];
      }),
    );
    this.#sweeper = new Sweeper({ redis, schedule, gauges, chunks: this.#chunks, clock });
    this.#sweeper.start();
  }

  submit(jobs: readonly NewJob[], { watch = false } = {}): Promise<(Admitted | ShoalError)[]> {
    return Promise.all(
      jobs.map((job) => {
        const id = formatJobId({ queue: job.queue, ulid: newUlid(this.#options.clock()) });
        return watch ? this.#submitWatched(job, id) : this.#producers.get(job.queue)!.submit(job, id);
      }),
    );
  }

  async #submitWatched(job: NewJob, id: string): Promise<Admitted | ShoalError> {
    this.#waiters.watch(id);
    const outcome = await this.#producers.get(job.queue)!.submit(job, id);
    if (outcome instanceof ShoalError || outcome.id !== id) this.#waiters.endWatch(id);
    return outcome;
  }

  async get(tenant: string, id: string): Promise<JobRecord> {
    return this.#read(tenant, this.#parse(id));
  }

  place(tenant: string, id: string): Promise<QueuePlace | null> {
    const job = this.#parse(id);
    const { rate } = this.#gauges.queue(job.queue);
    return this.#try(() => readPlace(this.#redis, job, tenant, rate));
  }

  async wait(tenant: string, id: string, ms: number, signal?: AbortSignal): Promise<JobRecord> {
    const job = this.#parse(id);
    const until = performance.now() + ms;
    let mayHaveEnded = !this.#waiters.endWatch(id);
    while (performance.now() < until && !signal?.aborted) {
      // Registered before the read: whatever ends between the two wakes it.
      const wake = this.#waiters.nextWake(formatJobId(job), { ms: until - performance.now(), signal });
      try {
        const record = mayHaveEnded ? await this.#try(() => this.#reader.readEnded(job)) : 'open';
        if (record !== 'open') return owned(record, tenant);
        mayHaveEnded = true;
        await wake.promise;
      } finally {
        wake.stop();
      }
    }
    return this.#read(tenant, job);
  }

  async *follow(
    tenant: string,
    id: string,
    after: FollowPosition,
    signal: AbortSignal,
  ): AsyncGenerator<JobProgress, void> {
    for await (const progress of this.#follower.follow(this.#parse(id), after, signal)) {
      if (progress?.record.tenant !== tenant) throw notFound();
      yield progress;
    }
  }

  async cancel(tenant: string, id: string): Promise<JobRecord> {
    const job = this.#parse(id);
    await this.#cancel(tenant, job, false);
    return this.#read(tenant, job);
  }

  async remove(tenant: string, id: string): Promise<void> {
    await this.#cancel(tenant, this.#parse(id), true);
  }

  list(tenant: string, filter: JobFilter, signal?: AbortSignal): Promise<JobPage> {
    const queues = this.#options.queues.filter((queue) => !filter.model || parseModel(queue) === filter.model);
    return this.#try(() => listJobs(this.#redis, queues, tenant, filter, signal));
  }

  depths(): QueueDepth[] {
    return this.#options.queues.map((queue) => {
      const { jobs, tokens, ended } = this.#gauges.queue(queue);
      return { queue, jobs, tokens, ended };
    });
  }

  demand(queue: string): Promise<Demand> {
    return this.#try(() => readDemand(this.#redis, queue));
  }

  async joining(queue: string): Promise<Joining | null> {
    const told = await this.#try(() => this.#redis.hget(`${queueTag(queue)}:limits`, 'joining'));
    return told === null ? null : Joining.parse(JSON.parse(told));
  }

  ping(): Promise<void> {
    return this.#health.check();
  }

  async close(): Promise<void> {
    this.#gauges.stop();
    await this.#sweeper.stop();
    await Promise.all([...this.#chunks.values()].map((chunks) => chunks.close()));
    for (const connection of Object.values(this.#connections)) connection.disconnect();
  }

  #parse(id: string): JobId {
    const job = knownId(id, this.#producers);
    if (!job) throw notFound();
    return job;
  }

  async #read(tenant: string, id: JobId): Promise<JobRecord> {
    return owned(await this.#try(() => this.#reader.read(id)), tenant);
  }

  async #cancel(tenant: string, id: JobId, erase: boolean): Promise<void> {
    const args = [id.ulid, tenant, erase ? '1' : '0', CANCELLED];
    this.#schedule.announce(id.queue);
    const verdict = await this.#try(() => cancelScript(this.#redis, id.queue, args));
    if (verdict === -1) throw notFound();
  }

  async #try<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw redisError(error);
    }
  }
}

function owned(record: JobRecord | null, tenant: string): JobRecord {
  if (record?.tenant !== tenant) throw notFound();
  return record;
}

function parseModel(queue: string): string {
  return queue.split('.').slice(0, -3).join('.');
}

function notFound(): ShoalError {
  return new ShoalError('job_not_found', 'there is no such job, or it has expired');
}
