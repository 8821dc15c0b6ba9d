import type { Model } from '@shoal/models';
import type { ClaimedItem } from '@shoal/queue';
import { createGenerationMetrics, createLogger, createWorkerMetrics } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { GenerationReporter } from './generation-reporter.js';

it('tells of a prompt and of the wait for its answer once, wherever that goes on', async () => {
  const registry = new Registry();
  const reporter = new GenerationReporter({
    model: { name: 'm', version: '1', variant: 'int8' } as Model,
    metrics: createWorkerMetrics(registry),
    generation: createGenerationMetrics(registry),
    logger: createLogger({ name: 'test', level: 'silent' }),
    clock: Date.now,
  });
  const item = { length: 7, queuedMs: 100, written: 0 } as ClaimedItem;
  reporter.began(item, 1, 5);
  reporter.began({ ...item, queuedMs: 4000, written: 20 }, 3, 5);
  const told = async (metric: string, suffix = '') => {
    const { values } = await registry.getSingleMetric(metric)!.get();
    return values.find((value) => !('metricName' in value) || value.metricName === metric + suffix)?.value;
  };
  expect(await told('shoal_prompt_tokens_total')).toBe(7);
  expect(await told('shoal_generation_tokens_total')).toBe(4);
  for (const histogram of ['queue_duration_seconds', 'request_prompt_tokens', 'time_to_first_token_seconds']) {
    expect([histogram, await told(`shoal_${histogram}`, '_count')]).toEqual([histogram, 1]);
  }
});
