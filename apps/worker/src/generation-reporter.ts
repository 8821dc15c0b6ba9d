/** What the outside is told of a model that generates text: metrics, spans and log lines. */

import type { ItemResult } from '@shoal/contracts';
import type { EngineStats, Finish } from '@shoal/generation';
import type { Model } from '@shoal/models';
import type { ClaimedItem } from '@shoal/queue';
import { type GenerationMetrics, type Logger, rarely, type Tracer, type WorkerMetrics } from '@shoal/telemetry';
import { traceAnswer } from './trace-answer.js';

export interface GenerationReporterOptions {
  readonly model: Model;
  readonly metrics: WorkerMetrics;
  readonly generation: GenerationMetrics;
  readonly logger: Logger;
  /** Undefined: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Unix ms. */
  readonly clock: () => number;
}

export class GenerationReporter {
  readonly #options: GenerationReporterOptions;
  readonly #labels: { readonly model: string; readonly version: string; readonly variant: string };
  readonly #mayWarn: () => boolean;
  #before: EngineStats | undefined;

  constructor(options: GenerationReporterOptions) {
    this.#options = options;
    const { name, version, variant } = options.model;
    this.#labels = { model: name, version, variant };
    this.#mayWarn = rarely(options.clock);
  }

  /** Items that this worker holds now, waiting or running. */
  holds(items: number): void {
    this.#options.metrics.itemsInFlight.set(this.#labels, items);
  }

  /**
   * Tokens of an answer are there, the first ones so many ms after this worker took its item, or it has ended without one; what it
   * is is told where it began.
   */
  began(item: ClaimedItem, tokens: number, ms: number): void {
    const { generation, metrics } = this.#options;
    generation.generationTokens.inc(this.#labels, tokens);
    if (item.written > 0) return;
    metrics.queueDuration.observe(this.#labels, item.queuedMs / 1000);
    generation.promptTokens.inc(this.#labels, item.length);
    generation.requestPromptTokens.observe(this.#labels, item.length);
    if (tokens > 0) generation.timeToFirstToken.observe(this.#labels, (item.queuedMs + ms) / 1000);
  }

  /** So many tokens of an answer came, each so many ms after the one before. */
  grew(tokens: number, ms: number): void {
    const { generation } = this.#options;
    generation.generationTokens.inc(this.#labels, tokens);
    for (let n = 0; n < tokens; n++) generation.interTokenLatency.observe(this.#labels, ms / 1000);
  }

  /** An answer of so many tokens has ended and is in Redis, where it is not to be tried again. `prefillMs`: to its first token. */
  ended(item: ClaimedItem, finish: Finish | Error, tokens: number, prefillMs: number, result?: ItemResult): void {
    const { metrics, generation, model, tracer, logger, clock } = this.#options;
    metrics.inferences.inc(this.#labels);
    generation.requestGenerationTokens.observe(this.#labels, tokens);
    if (tracer && result) traceAnswer(tracer, model, item, tokens, result, prefillMs, clock());
    if (!(finish instanceof Error)) return;
    const code = 'code' in finish ? String(finish.code) : 'inference_failed';
    metrics.inferenceFailures.inc({ ...this.#labels, code });
    if (this.#mayWarn()) logger.warn('inference.failed', { model: this.#name, job: item.jobId, code });
  }

  /** An answer goes on elsewhere, because something more urgent waits. */
  preempted(): void {
    this.#options.generation.preemptions.inc(this.#labels);
  }

  /** How the engine stands; called whenever metrics are read. */
  stands(stats: EngineStats): void {
    const { generation: g } = this.#options;
    const before = this.#before;
    this.#before = stats;
    g.running.set(this.#labels, stats.running);
    g.cacheBytes.set(this.#labels, stats.cacheBytes);
    const more = (count: (stats: EngineStats) => number) => count(stats) - (before ? count(before) : 0);
    g.prefixQueries.inc(
      this.#labels,
      more(({ promptTokens, prefixTokens }) => promptTokens + prefixTokens),
    );
    g.prefixHits.inc(
      this.#labels,
      more(({ prefixTokens }) => prefixTokens),
    );
    g.draftTokens.inc(
      this.#labels,
      more(({ accepted, rejected }) => accepted + rejected),
    );
    g.acceptedTokens.inc(
      this.#labels,
      more(({ accepted }) => accepted),
    );
  }

  get #name(): string {
    const { model, version, variant } = this.#labels;
    return `${model}/${version}/${variant}`;
  }
}
