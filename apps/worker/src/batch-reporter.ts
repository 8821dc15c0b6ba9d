/** What the outside is told of micro-batches: metrics, spans and log lines. */
import type { Model } from '@shoal/models';
import { type Logger, rarely, type Tracer, type WorkerMetrics } from '@shoal/telemetry';
import type { BatchRun } from './batch-run.js';
import { traceBatch } from './trace-batch.js';

export interface BatchReporterOptions {
  readonly model: Model;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Undefined: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Unix ms. */
  readonly clock: () => number;
}

export class BatchReporter {
  readonly #options: BatchReporterOptions;
  readonly #labels: { readonly model: string; readonly version: string; readonly variant: string };
  readonly #mayWarn: () => boolean;

  constructor(options: BatchReporterOptions) {
    this.#options = options;
    const { name, version, variant } = options.model;
    this.#labels = { model: name, version, variant };
    this.#mayWarn = rarely(options.clock);
  }

  /** Items that this worker holds now, waiting or running. */
  holds(items: number): void {
    this.#options.metrics.itemsInFlight.set(this.#labels, items);
  }

  /** A forward pass has ended. */
  ran({ closedBy, lengths, runningMs, receipts, errors }: BatchRun): void {
    const { metrics } = this.#options;
    const labels = this.#labels;
    const tokens = sum(lengths);
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

  /** Its results are in Redis, after `publishMs`. */
  published(run: BatchRun, publishMs: number): void {
    const { metrics, model, tracer, logger, clock } = this.#options;
    metrics.publishDuration.observe(this.#labels, publishMs / 1000);
    if (tracer) traceBatch(tracer, model, run, publishMs, clock());
    const failed = run.errors.findIndex((error) => error !== undefined);
    if (failed >= 0 && this.#mayWarn()) {
      const { code } = run.errors[failed]!;
      logger.warn('inference.failed', { model: this.#name, job: run.items[failed]!.jobId, code });
    }
    if (logger.enabled('debug')) this.#log(run);
  }

  get #name(): string {
    const { model, version, variant } = this.#labels;
    return `${model}/${version}/${variant}`;
  }

  /** Which jobs ran, and what failed, by code: the errors themselves may quote what was in an item. */
  #log({ items, closedBy, lengths, runningMs, errors }: BatchRun): void {
    const jobs = [...new Set(items.map(({ jobId }) => jobId))];
    const failed = errors.flatMap((error, i) => (error ? [`${items[i]!.jobId}/${items[i]!.n} ${error.code}`] : []));
    this.#options.logger.debug('batch.done', {
      model: this.#name,
      items: items.length,
      tokens: sum(lengths),
      closed_by: closedBy,
      ms: Math.round(runningMs * 10) / 10,
      jobs,
      failed,
    });
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
