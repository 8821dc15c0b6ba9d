/**
 * A queue of one test's own on a real Redis: the API's store, workers whose model is a function, and bare consumers that
 * hold what they claim until the test settles it. Everything is closed when the test has finished.
 */
import { randomBytes } from 'node:crypto';
import { type BatchLimits, RunGate, systemClock } from '@shoal/batching';
import type { JobRecord, Priority, WireItem } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import {
  Consumer,
  type JobStoreOptions,
  type NewJob,
  type OpenJobStore,
  openJobStore,
  type Place,
  Publisher,
  parseJobId,
  queueTag,
  type RedisClient,
  type RedisTarget,
  type Room,
} from '@shoal/queue';
import { createLogger, createWorkerMetrics } from '@shoal/telemetry';
import { Queue, Worker } from 'bullmq';
import { Registry } from 'prom-client';
import { expect, onTestFinished } from 'vitest';
import { encoderWorker } from '../../apps/worker/dist/encoder-worker.js';
import { type Claim, Claims } from './claims.js';
import { keysOf, openClient } from './redis-client.js';
import { double, numberOf, type Run } from './scripted-model.js';

export const TENANT = 'acme';
/** Longer than any test: a wait that is not woken fails by the test's own time-out. */
export const FOREVER = 600_000;
export const NOTHING_LEFT = { tokens: 0, reserved: 0, jobs: 0, outstanding: {} };

const LIMITS: BatchLimits = { maxBatchSize: 64, maxBatchTokens: 4096, maxDelayMs: 5, passTokens: 4096 };

export interface JobOptions {
  readonly queue?: string;
  readonly tenant?: string;
  readonly weight?: number;
  readonly priority?: Priority;
  /** Tokens per item; 4 where left out. */
  readonly lengths?: readonly number[];
  /** Most tokens of the answer to each item, of a job that generates. */
  readonly answers?: readonly number[];
  readonly resultBytes?: number;
  readonly retentionMs?: number;
  readonly webhookEvents?: NewJob['webhookEvents'];
  readonly deadline?: NewJob['deadline'];
  readonly idempotency?: NewJob['idempotency'];
  /** That it was accepted for; of any where left out. */
  readonly graph?: string;
}

export interface WorkerOptions {
  readonly hardware?: string;
  /** That it has loaded. */
  readonly graph?: string;
  readonly run?: Run;
  readonly limits?: Partial<BatchLimits>;
  readonly queue?: string;
  /** What it tells of itself at its start; nothing where left out. */
  readonly tells?: { readonly tokensPerSecond: number; readonly coldStart: number };
}

export interface ScriptedWorker {
  /** The values of each micro-batch, in the order of their starts. */
  readonly batches: readonly (readonly number[])[];
  stop(): Promise<void>;
}

export interface Holder {
  readonly claims: Claims;
  readonly publisher: Publisher;
  /** Fetches no more; what it still holds counts as done. */
  stop(): Promise<void>;
}

export interface Bench {
  readonly queue: string;
  readonly tag: string;
  readonly redis: RedisClient;
  readonly store: OpenJobStore;
  /** Another API replica of the same queues. */
  openStore(options?: Partial<JobStoreOptions>): Promise<OpenJobStore>;
  /** One value is a job of one item, a list one of several. */
  job(values: number | readonly number[], options?: JobOptions): NewJob;
  /** Submits and returns the id, or throws why not. */
  submit(values: number | readonly number[], options?: JobOptions): Promise<string>;
  /** The job's end, however long it takes. */
  end(id: string, tenant?: string): Promise<JobRecord>;
  startWorker(options?: WorkerOptions): Promise<ScriptedWorker>;
  /** A consumer that runs nothing: `claims` has what it fetched. `room` as its engine tells it; enough where left out. */
  startHolder(room?: (taken: number) => Room, isPreceded?: (by: Place) => boolean): Holder;
  /** What admission has reserved and not yet got back. */
  counters(): Promise<unknown>;
  /** The chunk's worker is taken for dead: its lock is gone, and BullMQ's own stalled check hands it out again. */
  loseLock(claim: Claim): Promise<void>;
  /** BullMQ's stalled check, until it has handed out something again. */
  recoverStalled(): Promise<void>;
  /** Ends the pauses of chunks that wait to be tried again. */
  promoteDelayed(): Promise<void>;
  /** How often each job's end was announced, from now on. */
  countEndings(): Promise<ReadonlyMap<string, number>>;
  /** Every key of the queue, without the tag. */
  keys(): Promise<string[]>;
  recordKey(id: string): string;
}

export type BenchOptions = Partial<Omit<JobStoreOptions, 'redisUrl'>> & {
  readonly redisUrl: string;
  /** Of every job that says nothing else. */
  readonly retentionMs?: number;
  /** How workers, and the test itself, log in, where not as the API does. */
  readonly workerUrl?: string;
  readonly testUrl?: string;
};

export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A queue name that no other test has. */
export function uniqueQueue(): string {
  return `t${randomBytes(6).toString('hex')}.1.fp32.0`;
}

export async function openBench({
  redisUrl,
  retentionMs = 60_000,
  workerUrl = redisUrl,
  testUrl = redisUrl,
  ...storeOptions
}: BenchOptions): Promise<Bench> {
  const closers: (() => unknown)[] = [];
  onTestFinished(async () => {
    for (const close of closers.reverse()) await close();
  });
  const queues = storeOptions.queues ?? [uniqueQueue()];
  const queue = queues[0]!;
  const tag = queueTag(queue);
  const { redisCa, redisCluster, redisSentinels } = storeOptions;
  const forWorkers: RedisTarget = { redisUrl: workerUrl, redisCa, redisCluster, redisSentinels };
  const redis = openClient({ redisUrl: testUrl, redisCa, redisCluster });
  closers.push(() => redis.disconnect());

  const openStore = async (changes: Partial<JobStoreOptions> = {}) => {
    const store = await openJobStore({
      redisUrl,
      queues,
      tenantCapTokens: 10_000_000,
      queueCapTokens: 10_000_000,
      memoryBudget: 4 * 1024 ** 3,
      // Tests share their tenants.
      tenantMemoryShare: Number.POSITIVE_INFINITY,
      clock: Date.now,
      onError: () => undefined,
      ...storeOptions,
      ...changes,
    });
    closers.push(() => store.close());
    return store;
  };
  const store = await openStore();

  const job = (values: number | readonly number[], options: JobOptions = {}): NewJob => {
    const list = typeof values === 'number' ? [values] : values;
    return {
      queue: options.queue ?? queue,
      tenant: { name: options.tenant ?? TENANT, weight: options.weight ?? 1 },
      meta: {
        model: (options.queue ?? queue).split('.')[0]!,
        version: '1',
        variant: 'fp32',
        task: 'text-classification',
        priority: options.priority ?? 'normal',
        parameters: {},
        metadata: {},
        array: typeof values !== 'number',
        ...(options.graph && { graph: options.graph }),
      },
      items: list.map((value): WireItem => ({ kind: 'text', ids: Uint32Array.of(value) })),
      tokens: list.map((_, n) => options.lengths?.[n] ?? 4),
      ...(options.answers && { answers: options.answers }),
      resultBytes: options.resultBytes ?? 100 * list.length,
      retentionMs: options.retentionMs ?? retentionMs,
      ...(options.webhookEvents && { webhookEvents: options.webhookEvents }),
      ...(options.deadline && { deadline: options.deadline }),
      ...(options.idempotency && { idempotency: options.idempotency }),
    };
  };

  const startWorker = async ({
    run = double,
    limits,
    hardware = 'a processor',
    graph = 'a graph',
    queue: own = queue,
    tells,
  }: WorkerOptions = {}) => {
    const batches: number[][] = [];
    const worker = encoderWorker({
      runner: {
        model: { name: own, version: '1', variant: 'fp32', queue: own } as Model,
        joining: { rows: 'any-length', reason: null },
        defaults: {},
        groupKey: () => '',
        async run(rows) {
          const values = rows.map(numberOf);
          batches.push(values);
          return (await run(values)).map((output) =>
            typeof output === 'number' ? { kind: 'score', score: output } : output,
          );
        },
        close: async () => undefined,
      },
      graph: { sha256: graph },
      limits: { ...LIMITS, ...limits },
      hardware,
      ...(tells && { tokensPerSecond: tells.tokensPerSecond }),
      ...forWorkers,
      gate: new RunGate({ places: 1, clock: systemClock }),
      metrics: createWorkerMetrics(new Registry()),
      logger: createLogger({ name: 'test', level: 'silent' }),
      onRedisError: () => undefined,
      random: Math.random,
    });
    await worker.start();
    if (tells) await worker.reportColdStart(tells.coldStart);
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= worker.stop();
      return stopped;
    };
    closers.push(stop);
    return { batches, stop };
  };

  const startHolder = (
    room: (taken: number) => Room = () => ({ items: 100_000, tokens: 1_000_000 }),
    isPreceded: (by: Place) => boolean = () => false,
  ) => {
    const claims = new Claims();
    const consumer = new Consumer({
      ...forWorkers,
      queue,
      clock: Date.now,
      onError: () => undefined,
    });
    const publisher = new Publisher({ redis: consumer.redis, queue, maxResultBytes: 1024 * 1024 });
    consumer.start({ room: () => room(claims.count), isPreceded, take: (item) => claims.take(item) });
    let stopped: Promise<void> | undefined;
    const close = async () => {
      claims.settleAll({ kind: 'done' });
      await consumer.drain();
      consumer.close();
    };
    const stop = () => {
      stopped ??= close();
      return stopped;
    };
    closers.push(stop);
    return { claims, publisher, stop };
  };

  /** Chunks that a worker took whose lock is gone. */
  const lockless = async () => {
    const active = await redis.lrange(`${tag}:chunks:active`, 0, -1);
    const locks = await Promise.all(active.map((id) => redis.exists(`${tag}:chunks:${id}:lock`)));
    return active.filter((_, n) => locks[n] === 0);
  };

  const recoverStalled = async () => {
    const dead = await lockless();
    const checker = new Worker('chunks', async () => undefined, {
      autorun: false,
      connection: redis,
      prefix: tag,
      stalledInterval: 20,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      skipVersionCheck: true,
    });
    checker.on('error', () => undefined);
    // Else the workers' own check, which is less frequent, would have its turn first.
    await redis.del(`${tag}:chunks:stalled-check`);
    await checker.startStalledCheckTimer();
    // It may be theirs all the same that finds them.
    await expect.poll(async () => (await lockless()).filter((id) => dead.includes(id))).toEqual([]);
    await checker.close();
  };

  const bench: Bench = {
    queue,
    tag,
    redis,
    store,
    openStore,
    job,
    async submit(values, options) {
      const [admitted] = await store.submit([job(values, options)]);
      if (admitted === undefined || admitted instanceof Error) throw admitted;
      return admitted.id;
    },
    end: (id, tenant = TENANT) => store.wait(tenant, id, FOREVER),
    startWorker,
    startHolder,
    async counters() {
      const [tokens, reserved, jobs] = await redis.hmget(`${tag}:state`, 'tokens', 'reserved', 'jobs');
      const outstanding = await redis.hgetall(`${tag}:outstanding`);
      return { tokens: Number(tokens), reserved: Number(reserved), jobs: Number(jobs), outstanding };
    },
    async loseLock({ item }) {
      expect(await redis.del(`${tag}:chunks:${item.lock.id}:lock`)).toBe(1);
      await recoverStalled();
    },
    recoverStalled,
    async promoteDelayed() {
      const chunks = new Queue('chunks', { connection: redis, prefix: tag, skipVersionCheck: true });
      await chunks.promoteJobs();
      await chunks.close();
    },
    async countEndings() {
      const counts = new Map<string, number>();
      const subscriber = openClient({ redisUrl: testUrl, redisCa, redisCluster });
      closers.push(() => subscriber.disconnect());
      subscriber.on('message', (_channel: string, ids: string) => {
        for (const id of ids.split(' ')) counts.set(id, (counts.get(id) ?? 0) + 1);
      });
      await subscriber.subscribe('shoal:ended');
      return counts;
    },
    keys: () => keysOf(redis, tag),
    recordKey: (id) => `${tag}:job:${parseJobId(id)!.ulid}`,
  };
  return bench;
}
