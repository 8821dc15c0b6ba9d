/** The autoscaling number of each queue and model, made anew from Redis at each request: any replica answers the same. */
import { arrivalRateAt, coldStartSeconds, replicasNeeded, targetSeconds, usefulReplicas } from '@shoal/autoscaling';
import { ShoalError } from '@shoal/contracts';
import type { JobStore } from '@shoal/queue';
import type { AutoscaleReading } from '@shoal/telemetry';

export interface AutoscaleOptions {
  readonly store: Pick<JobStore, 'demand'>;
  /** Every queue that is served, by the name of its model, now. */
  readonly queues: () => ReadonlyMap<string, readonly string[]>;
  /** How long a job may wait. */
  readonly delayObjectiveSeconds: number;
}

interface QueueReading extends AutoscaleReading {
  readonly targetSeconds: number;
  readonly coldStartSeconds: number;
}

/**
 * As it is answered; `replica_tokens_per_second` is null as long as no worker has told, `useful_replicas` unless more
 * replicas were seen to bring nothing.
 */
export interface ModelReading {
  readonly model: string;
  readonly replicas_needed: number;
  readonly useful_replicas: number | null;
  readonly queued_tokens: number;
  readonly arrival_tokens_per_second: number;
  readonly replica_tokens_per_second: number | null;
  readonly target_seconds: number;
  readonly cold_start_seconds: number;
}

export class Autoscale {
  readonly #options: AutoscaleOptions;

  constructor(options: AutoscaleOptions) {
    this.#options = options;
  }

  /**
   * The need of all queues of a model together: sums, but for the speed of a replica (the mean of what is known), and T and
   * the cold start (the longest). Throws `model_not_found`, and `redis_unavailable` rather than an old number.
   */
  async readModel(model: string): Promise<ModelReading> {
    const queues = this.#options.queues().get(model);
    if (queues === undefined) throw new ShoalError('model_not_found', 'no model of this name is served here');
    const readings = await Promise.all(queues.map((queue) => this.#read(queue)));
    const rates = readings.flatMap(({ replicaRate }) => replicaRate ?? []);
    return {
      model,
      replicas_needed: round(sum(readings.map((reading) => reading.replicasNeeded))),
      useful_replicas: readings.some((reading) => reading.usefulReplicas === null)
        ? null
        : sum(readings.map((reading) => reading.usefulReplicas!)),
      queued_tokens: sum(readings.map((reading) => reading.queuedTokens)),
      arrival_tokens_per_second: round(sum(readings.map((reading) => reading.arrivalRate))),
      replica_tokens_per_second: rates.length === 0 ? null : round(sum(rates) / rates.length),
      target_seconds: round(Math.max(...readings.map((reading) => reading.targetSeconds))),
      cold_start_seconds: round(Math.max(...readings.map((reading) => reading.coldStartSeconds))),
    };
  }

  /** Every queue by itself, for metrics. */
  readQueues(): Promise<readonly AutoscaleReading[]> {
    return Promise.all([...this.#options.queues().values()].flat().map((queue) => this.#read(queue)));
  }

  async #read(queue: string): Promise<QueueReading> {
    const { store, delayObjectiveSeconds } = this.#options;
    const demand = await store.demand(queue);
    const { arrivals, now, replicaRate, unfinishedJobs, unfinishedTokens } = demand;
    const arrivalRate = arrivals === null ? 0 : arrivalRateAt(arrivals, now);
    const times = { delayObjectiveSeconds, coldStartSeconds: coldStartSeconds(demand.coldStarts) };
    const useful = usefulReplicas(demand.speeds, now);
    const secondsSinceArrival = arrivals === null ? Number.POSITIVE_INFINITY : (now - arrivals.at) / 1000;
    return {
      queue,
      replicasNeeded: replicasNeeded({
        unfinishedJobs,
        unfinishedTokens,
        arrivalRate,
        secondsSinceArrival,
        replicaRate,
        usefulReplicas: useful,
        ...times,
      }),
      usefulReplicas: useful,
      queuedTokens: Math.max(0, unfinishedTokens),
      arrivalRate,
      replicaRate,
      targetSeconds: targetSeconds(times),
      coldStartSeconds: times.coldStartSeconds,
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Thousandths: as fine as KEDA counts, and 0.01 replicas stay above 0. */
function round(number: number): number {
  return Math.round(number * 1000) / 1000;
}
