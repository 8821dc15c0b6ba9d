/** The API's side of the queue: submit, read, wait, cancel, erase, list. */

import { type JobRecord, Joining, ShoalError } from '@shoal/contracts';
import type { Redis } from 'ioredis';
import { abandonQueue } from './abandon.js';
import { checkRedis, untilConnected } from './check-redis.js';
import { ChunkQueue } from './chunk-queue.js';
import { type Demand, readDemand } from './demand.js';
import { CANCELLED } from './errors.js';
import { Follower } from './follower.js';
import { Gauges } from './gauges.js';
import { readQueueOfKey } from './idempotency.js';
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
  /** What is served to begin with, as `serve` takes it. */
  readonly queues: readonly string[];
  readonly tenantCapTokens: number;
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

export interface ServedQueue {
  readonly name: string;
  /** Most tokens of all its unfinished jobs, where its model says so. */
  readonly capTokens?: number | undefined;
}

export interface OpenJobStore extends JobStore {
  /**
   * From now on jobs of these queues can be submitted. Those that were served before and are not among them can be read,
   * waited for and listed as long as anything of them is left. Jobs of other queues answer `job_not_found`.
   */
  serve(queues: readonly ServedQueue[]): Promise<void>;
  /** Names of all queues that have work, whoever serves them. */
  busy(): Promise<readonly string[]>;
  /** Those of these queues that a worker has served, ever. */
  everServed(queues: readonly string[]): Promise<readonly string[]>;
  /** Ends the unfinished jobs of a queue that nobody will serve as failed, with this error. */
  abandon(queue: string, error: ShoalError): Promise<void>;
  close(): Promise<void>;
}

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
    const store = new RedisJobStore(options, connections, schedule, gauges);
    await store.serve(options.queues.map((name) => ({ name })));
    store.start();
    return store;
  } catch (error) {
    for (const connection of Object.values(connections)) connection.disconnect();
    throw redisError(error);
  }
}

/** Between two looks of who waits, while Redis is away. */
const RETRY_MS = 250;

/** What a replica has for each queue that it serves. */
interface QueueParts {
  readonly chunks: ChunkQueue;
  readonly producer: Producer;
}

class RedisJobStore implements OpenJobStore {
  readonly #options: JobStoreOptions;
  readonly #redis: RedisClient;
  readonly #connections: Connections;
  readonly #schedule: Schedule;
  /** The same for what is submitted: announced on the connection that writes it. */
  readonly #written: Schedule;
  readonly #gauges: Gauges;
  readonly #health: RedisHealth;
  readonly #waiters: Waiters;
  readonly #reader: Reader;
  readonly #follower: Follower;
  readonly #queues = new Map<string, QueueParts>();
  readonly #sweeper: Sweeper;

  constructor(options: JobStoreOptions, connections: Connections, schedule: Schedule, gauges: Gauges) {
    const { redis, writer, large, subscriber } = connections;
    this.#options = options;
    this.#redis = redis;
    this.#connections = connections;
    this.#schedule = schedule;
    this.#written = new Schedule(writer, options.clock);
    this.#gauges = gauges;
    this.#health = new RedisHealth(redis, options);
    this.#waiters = new Waiters(subscriber);
    this.#reader = new Reader(redis, large);
    this.#follower = new Follower(redis, this.#reader, this.#waiters);
    const chunksOf = (queue: string) => this.#queues.get(queue)?.chunks;
    this.#sweeper = new Sweeper({ redis, schedule, gauges, chunksOf, clock: options.clock });
  }

  start(): void {
    this.#gauges.start();
    this.#sweeper.start();
  }

  async serve(queues: readonly ServedQueue[]): Promise<void> {
    const added = queues.filter(({ name }) => !this.#queues.has(name));
    const names = added.map(({ name }) => name);
    const served = new Set(queues.map(({ name }) => name));
    await this.#try(async () => {
      const left = await Promise.all([...this.#queues.keys()].filter((name) => !served.has(name)).map(this.#ifLeft));
      await this.#gauges.watch([...served, ...left.flat()]);
      if (names.length > 0) await this.#redis.sadd(QUEUES_KEY, ...names);
      await this.#schedule.announceAll(names);
    });
    for (const queue of added) this.#queues.set(queue.name, this.#open(queue));
  }

  /** The name where anything of the queue is left; else it is known no more. */
  readonly #ifLeft = async (queue: string): Promise<string[]> => {
    if (await this.#schedule.has(queue)) return [queue];
    const parts = this.#queues.get(queue);
    this.#queues.delete(queue);
    await parts?.chunks.close();
    return [];
  };

  #open({ name: queue, capTokens }: ServedQueue): QueueParts {
    const { clock, tenantCapTokens: tenantCap, queueCapTokens, replication = NO_REPLICATION } = this.#options;
    const { writer: redis } = this.#connections;
    const chunks = new ChunkQueue(redis, queue);
    const shared = { redis, gauges: this.#gauges, schedule: this.#written, tenantCap, replication, clock };
    return { chunks, producer: new Producer({ ...shared, queue, chunks, queueCap: capTokens ?? queueCapTokens }) };
  }

  busy(): Promise<string[]> {
    return this.#try(() => this.#schedule.busy());
  }

  everServed(queues: readonly string[]): Promise<string[]> {
    return this.#try(async () => {
      const told = await Promise.all(
        queues.map((queue) => this.#redis.hexists(`${queueTag(queue)}:limits`, 'batchTokens')),
      );
      return queues.filter((_, n) => told[n] === 1);
    });
  }

  abandon(queue: string, error: ShoalError): Promise<void> {
    this.#schedule.announce(queue);
    return this.#try(() => abandonQueue(this.#redis, queue, error));
  }

  submit(jobs: readonly NewJob[], { watch = false } = {}): Promise<(Admitted | ShoalError)[]> {
    return Promise.all(
      jobs.map((job) => {
        const id = formatJobId({ queue: job.queue, ulid: job.ulid ?? newUlid(this.#options.clock()) });
        return watch ? this.#submitWatched(job, id) : this.#submit(job, id);
      }),
    );
  }

  async #submit(job: NewJob, id: string): Promise<Admitted | ShoalError> {
    const parts = this.#queues.get(job.queue);
    return parts?.producer.submit(job, id) ?? new ShoalError('model_not_found', 'the model has just gone');
  }

  async #submitWatched(job: NewJob, id: string): Promise<Admitted | ShoalError> {
    this.#waiters.watch(id);
    const outcome = await this.#submit(job, id);
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
    let isKnown = !mayHaveEnded;
    while (performance.now() < until && !signal?.aborted) {
      // Registered before the read: whatever ends between the two wakes it.
      const wake = this.#waiters.nextWake(formatJobId(job), { ms: until - performance.now(), signal });
      try {
        const record = mayHaveEnded ? await this.#lookForEnd(job, isKnown) : 'open';
        if (record === 'away') wake.within(RETRY_MS);
        else if (record !== 'open') return owned(record, tenant);
        else isKnown = true;
        mayHaveEnded = true;
        await wake.promise;
      } finally {
        wake.stop();
      }
    }
    return this.#read(tenant, job);
  }

  /** 'away' where Redis is and the caller is `patient`: that its connection breaks is no news to who waits for a job. */
  async #lookForEnd(job: JobId, patient: boolean): Promise<JobRecord | 'open' | 'away' | null> {
    try {
      return await this.#reader.readEnded(job);
    } catch (error) {
      const fault = redisError(error);
      if (patient && fault.code === 'redis_unavailable') return 'away';
      throw fault;
    }
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
    const queues = [...this.#queues.keys()].filter((queue) => !filter.model || parseModel(queue) === filter.model);
    return this.#try(() => listJobs(this.#redis, queues, tenant, filter, signal));
  }

  queueOfKey(tenant: string, key: string): Promise<string | null> {
    return this.#try(() => readQueueOfKey(this.#redis, tenant, key));
  }

  delay(queue: string): number {
    const { tokens, rate, stalled } = this.#gauges.queue(queue);
    return Math.max(rate > 0 ? tokens / rate : 0, stalled);
  }

  depths(): QueueDepth[] {
    return [...this.#queues.keys()].map((queue) => {
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
    await Promise.all([...this.#queues.values()].map(({ chunks }) => chunks.close()));
    for (const connection of Object.values(this.#connections)) connection.disconnect();
  }

  #parse(id: string): JobId {
    const job = knownId(id, this.#queues);
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
