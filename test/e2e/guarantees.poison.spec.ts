import type { JobView } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';

test('a poison input among 63 good ones in one micro-batch: 63 results and one error', async () => {
  // The folder promises more tokens than the graph's table has, so this id passes every check and fails in the graph.
  const fleet = await openFleet({ model: 'wordnet-topic', config: { vocab_size: 1_000_000 } });
  const api = await fleet.startApi();
  const good = Array.from({ length: 64 }, (_, n) => ({ tokens: [5, 6 + n, 7] }));
  const poisoned = good.map((input, n) => (n === 40 ? { tokens: [5, 999_999, 7] } : input));
  const ids = [await api.submit(good), await api.submit(poisoned)];
  await fleet.startWorker();
  const [clean, job] = await Promise.all(ids.map((id) => api.end(id)));
  expect(job).toMatchObject({ status: 'completed', items: { total: 64, done: 64, failed: 1 }, error: null });
  expect(job!.errors).toMatchObject([{ index: 40, code: 'inference_failed', retryable: false }]);
  /** The best label of each item, null where there is no output. */
  const labels = ({ output }: JobView) =>
    (output as ({ label: string }[] | null)[]).map((best) => best && best[0]!.label);
  const expected = labels(clean!);
  expect(expected.every((label) => typeof label === 'string')).toBe(true);
  expect(labels(job!)).toEqual(expected.map((label, n) => (n === 40 ? null : label)));
  // It did share a micro-batch with its neighbours.
  expect(Math.min(...job!.batches.map(({ size }) => size))).toBeGreaterThanOrEqual(32);
});
