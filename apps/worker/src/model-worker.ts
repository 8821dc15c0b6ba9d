/** One model on this worker: its queue, its engine, and what is told of them, wired together. */
import type { BatchShape } from '@shoal/autoscaling';
import type { Joining } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { Consumer, DemandReports, type Engine, Publisher, type RedisTarget } from '@shoal/queue';
import { type HeldGraph, onlyOwn } from './loaded-graph.js';
import { RateReporter } from './rate-reporter.js';

const MAX_RESULT_BYTES = 8 * 1024 * 1024;

/** What an engine publishes with, and tells its speed to. */
export interface EngineTools {
  readonly publisher: Publisher;
  readonly rate: RateReporter;
}

export interface ModelWorkerOptions extends RedisTarget {
  readonly model: Model;
  /** That the engine has. */
  readonly graph: HeldGraph;
  readonly openEngine: (tools: EngineTools) => Engine;
  /** What a forward pass holds at most, and how many tokens of it a chunk is cut for. */
  readonly shape: BatchShape;
  /** The kind of hardware that it was found on. */
  readonly hardware: string;
  /** Tokens a second of this replica as measured at the start; null: not measured. */
  readonly tokensPerSecond: number | null;
  /** What was proved of the model's rows; null where rows never meet others' values. */
  readonly joining: Joining | null;
  /** Bytes that its cache may come to take, and those that it has now; none where left out. */
  readonly reservedBytes?: number;
  readonly heldBytes?: () => number;
  readonly random: () => number;
  /** Told of every error of the connections to Redis. */
  readonly onRedisError: (error: Error) => void;
  /** Called when the model is freed. */
  readonly onStopped?: () => void;
}

export class ModelWorker {
  readonly #options: ModelWorkerOptions;
  readonly #consumer: Consumer;
  readonly #publisher: Publisher;
  readonly #engine: Engine;
  readonly #reports: DemandReports;
  readonly #rate: RateReporter;

  constructor(options: ModelWorkerOptions) {
    this.#options = options;
    const { model, shape, tokensPerSecond: measured, onRedisError: onError } = options;
    const { redisUrl, redisCa, redisCluster, redisSentinels } = options;
    const { queue } = model;
    const target = { redisUrl, redisCa, redisCluster, redisSentinels };
    this.#consumer = new Consumer({ ...target, queue, clock: Date.now, onError });
    const { redis } = this.#consumer;
    const publisher = new Publisher({ redis, queue, maxResultBytes: MAX_RESULT_BYTES });
    this.#publisher = publisher;
    this.#reports = new DemandReports(redis, queue);
    this.#rate = new RateReporter({ reports: this.#reports, shape, measured, onError });
    this.#engine = options.openEngine({ publisher, rate: this.#rate });
  }

  /** `<model>/<version>/<variant>` */
  get name(): string {
    const { name, version, variant } = this.#options.model;
    return `${name}/${version}/${variant}`;
  }

  /** Whether Redis is reached. */
  get connected(): boolean {
    return this.#consumer.redis.status === 'ready';
  }

  /** Bytes that its cache may come to take. */
  get reservedBytes(): number {
    return this.#options.reservedBytes ?? 0;
  }

  /** Bytes of its cache that are in memory. */
  get heldBytes(): number {
    return this.#options.heldBytes?.() ?? 0;
  }

  async start(): Promise<void> {
    const { shape, hardware, joining, graph, random, onRedisError } = this.#options;
    await this.#publisher.announceLimits(hardware, shape.maxBatchTokens);
    // A Redis that is full refuses what only a model's card shows; the next start tells the same.
    if (joining) await this.#publisher.announceJoining(joining).catch(onRedisError);
    await this.#rate.start();
    this.#consumer.start(onlyOwn(this.#engine, { graph, publisher: this.#publisher, random }));
  }

  /** Tells how long this replica took from the start of its process until it took jobs. */
  async reportColdStart(seconds: number): Promise<void> {
    await this.#reports.addColdStart(seconds).catch(this.#options.onRedisError);
  }

  /** Returns what has not started, lets running batches end and be published, then frees the model. */
  async stop(): Promise<void> {
    await Promise.all([this.#consumer.drain(), this.#engine.drain()]);
    await this.#rate.stop();
    this.#consumer.close();
    await this.#engine.close();
    this.#options.onStopped?.();
  }
}
