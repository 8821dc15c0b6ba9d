import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { type AutoscaleReading, createAutoscaleMetrics } from './autoscale-metrics.js';

const BUSY: AutoscaleReading = {
  queue: 'topic.1.fp32.0',
  replicasNeeded: 2.5,
  usefulReplicas: 4,
  queuedTokens: 39_000,
  arrivalRate: 1500,
  replicaRate: 1000,
};
const NEW: AutoscaleReading = {
  queue: 'new.1.fp32.0',
  replicasNeeded: 0,
  usefulReplicas: null,
  queuedTokens: 0,
  arrivalRate: 0,
  replicaRate: null,
};

const valuesIn = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('a scrape reads once, and tells the number and its inputs by queue', async () => {
  const registry = new Registry();
  let reads = 0;
  createAutoscaleMetrics(registry, async () => {
    reads++;
    return [BUSY, NEW];
  });
  const values = valuesIn(await registry.metrics());
  expect(reads).toBe(1);
  expect(values).toEqual([
    'shoal_autoscale_replicas_needed{queue="topic.1.fp32.0"} 2.5',
    'shoal_autoscale_replicas_needed{queue="new.1.fp32.0"} 0',
    'shoal_autoscale_useful_replicas{queue="topic.1.fp32.0"} 4',
    'shoal_autoscale_queued_tokens{queue="topic.1.fp32.0"} 39000',
    'shoal_autoscale_queued_tokens{queue="new.1.fp32.0"} 0',
    'shoal_autoscale_arrival_tokens_per_second{queue="topic.1.fp32.0"} 1500',
    'shoal_autoscale_arrival_tokens_per_second{queue="new.1.fp32.0"} 0',
    'shoal_autoscale_replica_tokens_per_second{queue="topic.1.fp32.0"} 1000',
  ]);
  await registry.metrics();
  expect(reads).toBe(2);
});

test('while Redis is away there are no values, and the other metrics stand', async () => {
  const registry = new Registry();
  let away = false;
  createAutoscaleMetrics(registry, async () => {
    if (away) throw new Error('away');
    return [BUSY];
  });
  await registry.metrics();
  away = true;
  expect(valuesIn(await registry.metrics())).toEqual([]);
});
