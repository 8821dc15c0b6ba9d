import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createApiMetrics, createWorkerMetrics } from './metrics.js';

/** The process's and Node's own metrics keep the names that dashboards know. */
const FOREIGN = /^(process|nodejs)_/;

describe.each([
  ['API', createApiMetrics],
  ['worker', createWorkerMetrics],
])('metrics of the %s', (_, create) => {
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

  test('have labels of few values only', () => {
    const allowed = ['model', 'version', 'variant', 'task', 'code', 'closed_by', 'method', 'route', 'status', 'queue'];
    for (const metric of ours as unknown as { labelNames: string[] }[]) {
      expect(allowed).toEqual(expect.arrayContaining(metric.labelNames));
    }
  });

  test('include the event loop lag', async () => {
    expect(await registry.metrics()).toContain('nodejs_eventloop_lag_p99_seconds');
  });
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
