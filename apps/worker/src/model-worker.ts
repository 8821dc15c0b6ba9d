/** One model on this worker: its queue, its engine, and what is told of them, wired together. */
import { type BatchLimits, type RunGate, systemClock } from '@shoal/batching';
import type { ModelRunner } from '@shoal/models';
import { Consumer, DemandReports, type Engine, Publisher, type RedisTarget } from '@shoal/queue';
import type { Logger, Tracer, WorkerMetrics } from '@shoal/telemetry';
import { BatchReporter } from './batch-reporter.js';
import { EncoderEngine } from './encoder-engine.js';
import { RateReporter } from './rate-reporter.js';

const MAX_RESULT_BYTES = 8 * 1024 * 1024;

export interface ModelWorkerOptions extends RedisTarget {
  readonly runner: ModelRunner;
  readonly limits: BatchLimits;
  /** The kind of hardware that they were found on. */
  readonly hardware: string;
  /** Tokens a second of one forward pass after the other, as measured at the start; null or left out: not measured. */
  readonly tokensPerSecond?: number | null;
  readonly gate: RunGate;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Undefined: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Told of every error of the connections to Redis. */
  readonly onRedisError: (error: Error) => void;
  readonly random: () => number;
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
    const { runner, limits, gate, tokensPerSecond = null, random, onRedisError } = options;
    const { redisUrl, redisCa, redisCluster, redisSentinels } = options;
    const { queue } = runner.model;
    this.#consumer = new Consumer({
      redisUrl,
      redisCa,
      redisCluster,
      redisSentinels,
      queue,
      clock: Date.now,
      onError: onRedisError,
    });
    const { redis } = this.#consumer;
    this.#publisher = new Publisher({ redis, queue, maxResultBytes: MAX_RESULT_BYTES });
    this.#reports = new DemandReports(redis, queue);
    this.#rate = new RateReporter({
      reports: this.#reports,
      shape: limits,
      measured: tokensPerSecond === null ? null : tokensPerSecond * gate.sideBySide,
      onError: onRedisError,
    });
    this.#engine = new EncoderEngine({
      runner,
      limits,
      gate,
      clock: systemClock,
      publisher: this.#publisher,
      rate: this.#rate,
      reporter: new BatchReporter({ ...options, model: runner.model, clock: Date.now }),
      random,
    });
  }

  /** `<model>/<version>/<variant>` */
  get name(): string {
    const { name, version, variant } = this.#options.runner.model;
    return `${name}/${version}/${variant}`;
  }

  /** Whether Redis is reached. */
  get connected(): boolean {
    return this.#consumer.redis.status === 'ready';
  }

  async start(): Promise<void> {
    const { limits, hardware, runner } = this.#options;
    await this.#publisher.announceLimits(hardware, limits.maxBatchTokens);
    // A Redis that is full refuses what only a model's card shows; the next start tells the same.
    await this.#publisher.announceJoining(runner.joining).catch(this.#options.onRedisError);
    await this.#rate.start();
    this.#consumer.start(this.#engine);
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
  }
}
