/** A worker of a model that answers in one forward pass: its engine, and what it tells of itself. */
import { type BatchLimits, type Gate, systemClock } from '@shoal/batching';
import type { ModelRunner } from '@shoal/models';
import type { RedisTarget } from '@shoal/queue';
import type { Logger, Tracer, WorkerMetrics } from '@shoal/telemetry';
import { BatchReporter } from './batch-reporter.js';
import { EncoderEngine } from './encoder-engine.js';
import type { HeldGraph } from './loaded-graph.js';
import { ModelWorker } from './model-worker.js';

export interface EncoderWorkerOptions extends RedisTarget {
  readonly runner: ModelRunner;
  /** That the runner has. */
  readonly graph: HeldGraph;
  readonly limits: BatchLimits;
  /** The kind of hardware that they were found on. */
  readonly hardware: string;
  /** Tokens a second of one forward pass after the other, as measured at the start; null or left out: not measured. */
  readonly tokensPerSecond?: number | null;
  readonly gate: Gate;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Undefined: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Told of every error of the connections to Redis. */
  readonly onRedisError: (error: Error) => void;
  readonly random: () => number;
  /** Called when the model is freed. */
  readonly onStopped?: () => void;
}

export function encoderWorker(options: EncoderWorkerOptions): ModelWorker {
  const { runner, limits, gate, tokensPerSecond = null, random } = options;
  const { model, joining } = runner;
  const reporter = new BatchReporter({ ...options, model, clock: Date.now });
  return new ModelWorker({
    ...options,
    model,
    joining,
    shape: limits,
    tokensPerSecond: tokensPerSecond === null ? null : tokensPerSecond * gate.sideBySide,
    openEngine: (tools) => new EncoderEngine({ ...tools, runner, limits, gate, clock: systemClock, reporter, random }),
  });
}
