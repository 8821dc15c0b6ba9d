/**
 * The autoscaling number and its inputs, per queue; names and units as in metrics.ts. Every API process reads the same
 * from Redis and tells the same: take the max over processes, not the sum. While Redis is away there are no values, so
 * that nobody scales on old ones.
 */
import { Gauge, type Registry } from 'prom-client';

export interface AutoscaleReading {
  /** `<model>.<version>.<variant>.<shard>` */
  readonly queue: string;
  readonly replicasNeeded: number;
  /** Null unless more replicas were seen to bring nothing: then there is no value. */
  readonly usefulReplicas: number | null;
  readonly queuedTokens: number;
  readonly arrivalRate: number;
  /** Null where it is not known: then there is no value. */
  readonly replicaRate: number | null;
}

/** `read` is asked once per scrape; where it rejects the metrics have no values. Call once per registry. */
export function createAutoscaleMetrics(registry: Registry, read: () => Promise<readonly AutoscaleReading[]>): void {
  let reading: Promise<readonly AutoscaleReading[]> | undefined;
  // A scrape asks all gauges in one turn of the event loop: the first starts the reading that the others wait for.
  const readOnce = () => {
    reading ??= read()
      .catch(() => [])
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  const gauge = (name: string, help: string, value: (reading: AutoscaleReading) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['queue'],
      registers: [registry],
      async collect() {
        const readings = await readOnce();
        this.reset();
        for (const one of readings) {
          const number = value(one);
          if (number !== null) this.set({ queue: one.queue }, number);
        }
      },
    });
  gauge(
    'shoal_autoscale_replicas_needed',
    'Worker replicas that the queue needs now, as GET /internal/autoscale/{model} answers; 0: none.',
    ({ replicasNeeded }) => replicasNeeded,
  );
  gauge(
    'shoal_autoscale_useful_replicas',
    'The most worker replicas that are of use, where more were seen to bring no more throughput: they share cores.',
    ({ usefulReplicas }) => usefulReplicas,
  );
  gauge(
    'shoal_autoscale_queued_tokens',
    'Tokens of jobs that have not ended, as the autoscaling number counts them.',
    ({ queuedTokens }) => queuedTokens,
  );
  gauge(
    'shoal_autoscale_arrival_tokens_per_second',
    'Tokens a second that were admitted, over about the last minute.',
    ({ arrivalRate }) => arrivalRate,
  );
  gauge(
    'shoal_autoscale_replica_tokens_per_second',
    'Tokens a second that one worker replica does under load, as learned from its full micro-batches.',
    ({ replicaRate }) => replicaRate,
  );
}
