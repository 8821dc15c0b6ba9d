import { expect, test } from 'vitest';
import { openFleet, readMetric } from '../support/fleet.js';

test('a worker answers probes while it runs long micro-batches', async () => {
  const fleet = await openFleet({
    model: 'wordnet-embed',
    limits: { max_batch_size: 1024, max_batch_tokens: 65_536, max_queued_tokens: 4_000_000 },
  });
  const api = await fleet.startApi();
  const worker = await fleet.startWorker();
  const text = Array(60).fill('sea').join(' ');
  const probe = async () => {
    const started = performance.now();
    const response = await fetch(new URL('/healthz', worker.metricsUrl));
    expect(response.status).toBe(200);
    return performance.now() - started;
  };
  const jobs = await Promise.all([1, 2, 3].map(() => api.submit(Array(1000).fill(text))));
  let running = true;
  const ended = Promise.all(jobs.map((id) => api.end(id))).finally(() => {
    running = false;
  });
  const gaps: number[] = [];
  while (running) gaps.push(await probe());
  const longest = Math.max(...(await ended).map(({ timings }) => timings?.running_ms ?? 0));
  const lag = await readMetric(worker.metricsUrl, 'nodejs_eventloop_lag_max_seconds');
  console.log(
    `longest forward pass ${longest.toFixed(0)} ms; ${gaps.length} probes, slowest ${Math.max(...gaps).toFixed(0)} ms; ` +
      `longest event-loop lag ${(1000 * lag).toFixed(0)} ms`,
  );
  // A probe that had to wait for a forward pass would make them as few as the passes.
  const passes = await readMetric(worker.metricsUrl, 'shoal_executions_total');
  expect(gaps.length).toBeGreaterThan(10 * passes);
});
