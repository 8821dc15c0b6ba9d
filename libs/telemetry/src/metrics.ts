/**
 * Every metric that Shoal exposes, in one place. The vocabulary is Triton's: a request is what a caller sends, an
 * inference is one item of it, an execution is one forward pass over a micro-batch, so that
 * inferences ÷ executions is the average batch size.
 *
 * Names start with `shoal_`, units are seconds, tokens and ratios (0 to 1), counters end in `_total`. Labels have few
 * values: models, tasks, error codes; never a tenant, a job or a caller's text. What every process tells is in
 * process-metrics.ts; webhooks and autoscaling have files of their own.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** 1 ms to 65 s, doubling: queueing and waiting. */
const WAITING_SECONDS = powersOfTwo(0.001, 17);
/** 0.25 ms to 8 s, doubling: one forward pass. */
const COMPUTE_SECONDS = powersOfTwo(0.00025, 16);
const BATCH_SIZES = powersOfTwo(1, 11);
const SHARES = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1];

/** Which graph ran: a rolling upgrade or a second variant stays apart from the first. */
const MODEL = ['model', 'version', 'variant'] as const;

export type ApiMetrics = ReturnType<typeof createApiMetrics>;
export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** What is unfinished in one queue, and how many of its jobs have ended, by final state. */
export interface Depth {
  readonly queue: string;
  readonly jobs: number;
  readonly tokens: number;
  readonly ended: Readonly<Record<string, number>>;
}

/** Registers what an API process tells of itself; `depths` is asked at each scrape. Call once per registry. */
export function createApiMetrics(registry: Registry, depths: () => readonly Depth[] = () => []) {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'shoal_requests_total',
      help: 'Jobs that callers asked for, accepted or not.',
      labelNames: ['model', 'task'],
      registers,
    }),
    requestSuccesses: new Counter({
      name: 'shoal_request_success_total',
      help: 'Jobs that were accepted.',
      labelNames: ['model', 'task'],
      registers,
    }),
    requestFailures: new Counter({
      name: 'shoal_request_failure_total',
      help: 'Jobs that were refused, by error code.',
      labelNames: ['model', 'code'],
      registers,
    }),
    requestTokens: new Counter({
      name: 'shoal_request_tokens_total',
      help: 'Tokens of accepted jobs.',
      labelNames: ['model'],
      registers,
    }),
    encodeDuration: new Histogram({
      name: 'shoal_encode_duration_seconds',
      help: 'Checking and tokenising one request.',
      labelNames: ['model'],
      buckets: COMPUTE_SECONDS,
      registers,
    }),
    httpDuration: new Histogram({
      name: 'shoal_http_request_duration_seconds',
      help: 'HTTP requests from their first byte to the end of the answer, long polls included. `route` is the pattern.',
      labelNames: ['method', 'route', 'status'],
      buckets: WAITING_SECONDS,
      registers,
    }),
    unknownFields: new Counter({
      name: 'shoal_unknown_fields_total',
      help: 'Fields of requests for texts that mean nothing here and were passed over. `route` is the pattern.',
      labelNames: ['route'],
      registers,
    }),
    waiters: new Gauge({
      name: 'shoal_waiters',
      help: 'Open requests that wait for a job: for its result (long polls, embeddings) or for its events (streams).',
      labelNames: ['kind'],
      registers,
    }),
    queueJobs: new Gauge({
      name: 'shoal_queue_jobs',
      help: 'Jobs that have not ended, of all API processes. The label is `<model>.<version>.<variant>.<shard>`.',
      labelNames: ['queue'],
      registers,
      collect() {
        for (const { queue, jobs } of depths()) this.set({ queue }, jobs);
      },
    }),
    jobsEnded: new Counter({
      name: 'shoal_jobs_ended_total',
      help: 'Jobs that have ended, by final state; counted in Redis, so every API process tells the same.',
      labelNames: ['queue', 'state'],
      registers,
      collect() {
        this.reset();
        for (const { queue, ended } of depths()) {
          for (const [state, count] of Object.entries(ended)) this.inc({ queue, state }, count);
        }
      },
    }),
    queueTokens: new Gauge({
      name: 'shoal_queue_tokens',
      help: 'Tokens of jobs that have not ended, of all API processes.',
      labelNames: ['queue'],
      registers,
      collect() {
        for (const { queue, tokens } of depths()) this.set({ queue }, tokens);
      },
    }),
  };
}

/** Registers what a worker process tells of itself. Call once per registry. */
export function createWorkerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    inferences: new Counter({
      name: 'shoal_inferences_total',
      help: 'Items that ran.',
      labelNames: MODEL,
      registers,
    }),
    escalated: new Counter({
      name: 'shoal_escalated_total',
      help: 'Items of a cascade that its teacher answered; beside shoal_inferences_total, its share of them.',
      labelNames: MODEL,
      registers,
    }),
    inferenceFailures: new Counter({
      name: 'shoal_inference_failure_total',
      help: 'Items whose pass gave an error, by error code; one that is retryable may run again.',
      labelNames: [...MODEL, 'code'],
      registers,
    }),
    executions: new Counter({
      name: 'shoal_executions_total',
      help: 'Forward passes, by why the micro-batch stopped growing.',
      labelNames: [...MODEL, 'closed_by'],
      registers,
    }),
    batchSize: new Histogram({
      name: 'shoal_batch_size',
      help: 'Items per forward pass.',
      labelNames: MODEL,
      buckets: BATCH_SIZES,
      registers,
    }),
    batchPaddedShare: new Histogram({
      name: 'shoal_batch_padded_ratio',
      help: 'Share of a forward pass’s tokens that was padding.',
      labelNames: MODEL,
      buckets: SHARES,
      registers,
    }),
    tokens: new Counter({
      name: 'shoal_tokens_total',
      help: 'Tokens that ran, padding left out.',
      labelNames: MODEL,
      registers,
    }),
    paddingTokens: new Counter({
      name: 'shoal_padding_tokens_total',
      help: 'Tokens of padding that ran.',
      labelNames: MODEL,
      registers,
    }),
    queueDuration: new Histogram({
      name: 'shoal_queue_duration_seconds',
      help: 'Time of one item in Redis, from admission to a worker.',
      labelNames: MODEL,
      buckets: WAITING_SECONDS,
      registers,
    }),
    batchingDuration: new Histogram({
      name: 'shoal_batching_duration_seconds',
      help: 'Time of one item in a worker before its forward pass began.',
      labelNames: MODEL,
      buckets: WAITING_SECONDS,
      registers,
    }),
    computeDuration: new Histogram({
      name: 'shoal_compute_duration_seconds',
      help: 'Time of one forward pass.',
      labelNames: MODEL,
      buckets: COMPUTE_SECONDS,
      registers,
    }),
    publishDuration: new Histogram({
      name: 'shoal_publish_duration_seconds',
      help: 'Time to write the results of one forward pass to Redis.',
      labelNames: MODEL,
      buckets: COMPUTE_SECONDS,
      registers,
    }),
    itemsInFlight: new Gauge({
      name: 'shoal_items_in_flight',
      help: 'Items that this worker holds, waiting or running.',
      labelNames: MODEL,
      registers,
    }),
    modelInfo: new Gauge({
      name: 'shoal_model_info',
      help: 'Always 1, for each loaded model: what it runs on.',
      labelNames: [...MODEL, 'task', 'device', 'runtime'],
      registers,
    }),
    modelLoadFailures: new Gauge({
      name: 'shoal_model_load_failed',
      help: 'Always 1, for each model that this worker was to serve and could not load.',
      labelNames: MODEL,
      registers,
    }),
    modelLoadDuration: new Gauge({
      name: 'shoal_model_load_duration_seconds',
      help: 'Time to load, warm up and measure a model.',
      labelNames: MODEL,
      registers,
    }),
  };
}

function powersOfTwo(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, power) => first * 2 ** power);
}
