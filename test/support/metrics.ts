/** Every metric that Shoal's processes register, for tests that hold documents and queries against them. */
import {
  createApiMetrics,
  createAutoscaleMetrics,
  createFileMetrics,
  createGenerationMetrics,
  createProcessMetrics,
  createWebhookMetrics,
  createWorkerMetrics,
} from '@shoal/telemetry';
import { Registry } from 'prom-client';

export interface KnownMetric {
  /** Which processes tell it: `api`, `worker`, `webhooks`, `all`. */
  readonly process: string;
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const FACTORIES: readonly (readonly [process: string, create: (registry: Registry) => unknown])[] = [
  ['all', createProcessMetrics],
  ['api', (registry) => createApiMetrics(registry)],
  ['api', (registry) => createFileMetrics(registry, async () => ({ files: 0, bytes: 0 }))],
  ['api', (registry) => createAutoscaleMetrics(registry, async () => [])],
  ['worker', createWorkerMetrics],
  ['worker', createGenerationMetrics],
  ['webhooks', (registry) => createWebhookMetrics(registry)],
];

export const METRICS: readonly KnownMetric[] = FACTORIES.flatMap(([process, create]) => {
  const registry = new Registry();
  create(registry);
  const metrics = registry.getMetricsAsArray() as unknown as (KnownMetric & { labelNames: string[] })[];
  return metrics.map(({ name, type, help, labelNames }) => ({ process, name, type, help, labels: labelNames }));
});
