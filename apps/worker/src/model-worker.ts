/** One model on this worker: fetch → micro-batch → forward pass → publish, wired together. */
import { type BatchLimits, type Candidate, MicroBatcher, NotStarted, type RunGate, systemClock } from '@shoal/batching';
import type { Model, ModelRunner } from '@shoal/models';
import { type ClaimedItem, Consumer, DemandReports, type Outcome, Publisher, type RedisTarget } from '@shoal/queue';
import { type Logger, rarely, type Tracer, type WorkerMetrics } from '@shoal/telemetry';
import { type BatchRun, processBatch } from './process-batch.js';
import { RateReporter } from './rate-reporter.js';
import { traceBatch } from './trace-batch.js';

/**
 * Micro-batches of items that a worker holds beside those that run: they give the next one neighbours by length to choose
 * from. More would pad less (single jobs of 8 to 128 tokens: 5.9 % with 3, 4.6 % with 6, 3.7 % with 10), and keep work from
 * idle workers and the item of a tenant that comes late in Redis for longer.
 */
const WAITING_BATCHES = 3;
const MAX_RESULT_BYTES = 8 * 1024 * 1024;

export interface ModelWorkerOptions extends RedisTarget {
  readonly runner: ModelRunner;
  readonly limits: BatchLimits;
  /** The kind of hardware that they were found on. */
  readonly hardware: string;
  /** Tokens a second of one forward pass after the other, as measured at the start; null or left out: not measured. */
  readonly tokensPerSecond?: number | null;
  readonly concurrentRuns: number;
  /** How many of them run side by side; all, where left out. The others wait for these. */
  readonly lanes?: number;
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
  readonly #batcher: MicroBatcher<ClaimedItem, Outcome>;
  readonly #reports: DemandReports;
  readonly #rate: RateReporter;
  readonly #mayWarn = rarely(Date.now);

  constructor(options: ModelWorkerOptions) {
    this.#options = options;
    const { runner, limits, redisUrl, redisCa, redisCluster, redisSentinels } = options;
    const { queue } = runner.model;
    this.#consumer = new Consumer({
      redisUrl,
      redisCa,
      redisCluster,
      redisSentinels,
      queue,
      holdTokens: (options.concurrentRuns + WAITING_BATCHES) * limits.maxBatchTokens,
      handle: (item) => this.#handle(item),
      clock: Date.now,
      onError: options.onRedisError,
    });
    this.#publisher = new Publisher({
      redis: this.#consumer.redis,
      queue,
      maxResultBytes: MAX_RESULT_BYTES,
    });
    const { lanes = options.concurrentRuns, tokensPerSecond = null } = options;
    this.#reports = new DemandReports(this.#consumer.redis, queue);
    this.#rate = new RateReporter({
      reports: this.#reports,
      shape: limits,
      lanes,
      measured: tokensPerSecond === null ? null : tokensPerSecond * lanes,
      clock: systemClock.now,
      onError: options.onRedisError,
    });
    this.#batcher = new MicroBatcher({
      limits,
      maxRunning: options.concurrentRuns,
      gate: options.gate,
      clock: systemClock,
      run: (batch, deviceFree) => {
        const leave = this.#rate.enter();
        return processBatch(batch, deviceFree, {
          runner,
          publisher: this.#publisher,
          random: options.random,
          onRun: (ran) => {
            // A batch that was split or given up says nothing about one that runs through.
            leave(ran.errors.some((error) => error) ? undefined : ran.lengths);
            this.#count(ran);
          },
          onPublished: (ran, ms) => this.#tellPublished(ran, ms),
        }).finally(() => leave());
      },
    });
  }

  /** Whether Redis is reached. */
  get connected(): boolean {
    return this.#consumer.redis.status === 'ready';
  }

  async start(): Promise<void> {
    const { limits, hardware } = this.#options;
    await this.#publisher.announceLimits(hardware, limits.maxBatchTokens);
    await this.#publisher.announceJoining(this.#options.runner.joining);
    await this.#rate.start();
    this.#consumer.start();
  }

  /** Tells how long this replica took from the start of its process until it took jobs. */
  async reportColdStart(seconds: number): Promise<void> {
    await this.#reports.addColdStart(seconds);
  }

  /** Hands back what has not started, lets running batches end and be published, then frees the model. */
  async stop(): Promise<void> {
    const drained = this.#consumer.drain();
    this.#batcher.drain();
    await drained;
    await this.#rate.stop();
    this.#consumer.close();
    await this.#options.runner.close();
  }

  async #handle(item: ClaimedItem): Promise<Outcome> {
    const { runner, metrics } = this.#options;
    const labels = labelsOf(runner.model);
    const candidate: Candidate = {
      length: item.length,
      order: item.lock.tag,
      group: runner.groupKey(item.item),
      alone: item.strikes > 0,
    };
    metrics.itemsInFlight.inc(labels);
    try {
      return await this.#batcher.add(item, candidate, item.dropped);
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
      // Dropped items have ended in the record; only a draining worker hands back.
      return item.dropped.aborted ? { kind: 'done' } : { kind: 'unstarted' };
    } finally {
      metrics.itemsInFlight.dec(labels);
    }
  }

  #count({ closedBy, lengths, runningMs, receipts, errors }: BatchRun): void {
    const { metrics, runner } = this.#options;
    const labels = labelsOf(runner.model);
    const tokens = lengths.reduce((sum, n) => sum + n, 0);
    const padding = Math.max(...lengths) * lengths.length - tokens;
    metrics.executions.inc({ ...labels, closed_by: closedBy });
    metrics.inferences.inc(labels, lengths.length);
    metrics.batchSize.observe(labels, lengths.length);
    metrics.batchPaddedShare.observe(labels, padding / (padding + tokens));
    metrics.tokens.inc(labels, tokens);
    metrics.paddingTokens.inc(labels, padding);
    metrics.computeDuration.observe(labels, runningMs / 1000);
    for (const { queuedMs, batchingMs } of receipts) {
      metrics.queueDuration.observe(labels, queuedMs / 1000);
      metrics.batchingDuration.observe(labels, batchingMs / 1000);
    }
    for (const error of errors) if (error) metrics.inferenceFailures.inc({ ...labels, code: error.code });
  }

  #tellPublished(ran: BatchRun, publishMs: number): void {
    const { metrics, runner, tracer, logger } = this.#options;
    metrics.publishDuration.observe(labelsOf(runner.model), publishMs / 1000);
    if (tracer) traceBatch(tracer, runner.model, ran, publishMs, Date.now());
    const failed = ran.errors.findIndex((error) => error !== undefined);
    if (failed >= 0 && this.#mayWarn()) {
      const { code } = ran.errors[failed]!;
      logger.warn('inference.failed', { model: this.#name, job: ran.items[failed]!.jobId, code });
    }
    if (logger.enabled('debug')) this.#log(ran);
  }

  get #name(): string {
    const { name, version, variant } = this.#options.runner.model;
    return `${name}/${version}/${variant}`;
  }

  /** Which jobs ran, and what failed, by code: the errors themselves may quote what was in an item. */
  #log({ items, closedBy, lengths, runningMs, errors }: BatchRun): void {
    const { logger } = this.#options;
    const jobs = [...new Set(items.map(({ jobId }) => jobId))];
    const failed = errors.flatMap((error, i) => (error ? [`${items[i]!.jobId}/${items[i]!.n} ${error.code}`] : []));
    const tokens = lengths.reduce((sum, n) => sum + n, 0);
    const ms = Math.round(runningMs * 10) / 10;
    logger.debug('batch.done', {
      model: this.#name,
      items: items.length,
      tokens,
      closed_by: closedBy,
      ms,
      jobs,
      failed,
    });
  }
}

function labelsOf({ name, version, variant }: Model): { model: string; version: string; variant: string } {
  return { model: name, version, variant };
}
