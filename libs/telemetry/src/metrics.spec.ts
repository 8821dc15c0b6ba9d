import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createApiMetrics, createWorkerMetrics } from './metrics.js';
import { createProcessMetrics } from './process-metrics.js';
import { VERSION } from './version.js';
import { createWebhookMetrics } from './webhook-metrics.js';

/** The process's and Node's own metrics keep the names that dashboards know. */
const FOREIGN = /^(process|nodejs)_/;

/** Labels, each of which has few values however many callers, jobs and texts there are. */
const ALLOWED = [
  ...['model', 'version', 'variant', 'task', 'device', 'runtime', 'queue', 'code', 'closed_by'],
  ...['method', 'route', 'status', 'kind', 'type', 'state', 'outcome'],
];

describe.each([
  ['API', createApiMetrics],
  ['worker', createWorkerMetrics],
  ['webhooks', createWebhookMetrics],
  ['every process', createProcessMetrics],
])('metrics of %s', (_, create) => {
  const registry = new Registry();
  create(registry);
  const ours = registry.getMetricsAsArray().filter((metric) => !FOREIGN.test(metric.name));

  test('are named shoal_*, counters *_total, histograms by their base unit', () => {
    for (const { name, type } of ours as unknown as { name: string; type: unknown }[]) {
      expect(name).toMatch(/^shoal_[a-z_]+$/);
      expect(name.endsWith('_total'), name).toBe(String(type) === 'counter');
      expect(name).not.toMatch(/_(ms|us|milliseconds)(_|$)/);
    }
  });

  test('say what they are in a sentence', () => {
    for (const { name, help } of ours) expect(help, name).toMatch(/^[A-Z].*\.$/);
  });

  test('have labels of few values only', () => {
    for (const metric of ours as unknown as { labelNames: string[] }[]) {
      expect(ALLOWED).toEqual(expect.arrayContaining(metric.labelNames));
    }
  });
});

test('every process tells its version, whether it reaches Redis, and its event loop’s lag', async () => {
  const registry = new Registry();
  const { watchRedis } = createProcessMetrics(registry);
  watchRedis(async () => true);
  const text = await registry.metrics();
  expect(text).toContain(`shoal_build_info{version="${VERSION}"} 1`);
  expect(text).toContain('shoal_redis_up 1');
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
  watchRedis(() => false);
  expect(await registry.metrics()).toContain('shoal_redis_up 0');
});

test('inferences ÷ executions is the average batch size', async () => {
  const registry = new Registry();
  const metrics = createWorkerMetrics(registry);
  const labels = { model: 'm', version: '1', variant: 'default' };
  for (const size of [3, 5]) {
    metrics.inferences.inc(labels, size);
    metrics.executions.inc({ ...labels, closed_by: 'idle' });
    metrics.batchSize.observe(labels, size);
  }
  const text = await registry.metrics();
  expect(text).toContain('shoal_inferences_total{model="m",version="1",variant="default"} 8');
  expect(text).toContain('shoal_executions_total{model="m",version="1",variant="default",closed_by="idle"} 2');
  expect(text).toContain('shoal_batch_size_sum{model="m",version="1",variant="default"} 8');
});
