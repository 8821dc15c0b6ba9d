import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RateReporter } from './rate-reporter.js';

const FULL = Array.from({ length: 64 }, () => 64);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A replica that takes what it is told for the truth, and what Redis holds of it. */
function open({ answers = async () => {} }: { readonly answers?: () => Promise<void> } = {}) {
  const told: (number | null)[] = [];
  const begun: number[] = [];
  const errors: string[] = [];
  const reporter = new RateReporter({
    reports: {
      begin: async (rate) => void begun.push(rate),
      learn: async (learn) => {
        told.push(learn({ now: 0, replicas: 1, rate: null, speeds: [] }).rate);
        await answers();
      },
    },
    shape: { maxBatchSize: 64, maxBatchTokens: 4096 },
    measured: 777,
    onError: ({ message }) => void errors.push(message),
  });
  /** A full batch that keeps its place for `ms`. */
  const run = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    reporter.add(FULL, ms / 1000);
  };
  return { reporter, told, begun, errors, run };
}

test('what was measured is the beginning, and every 5 s what full batches have shown is told, once', async () => {
  const { reporter, told, begun, run } = open();
  await reporter.start();
  expect(begun).toEqual([777]);
  await run(1000);
  await run(1000);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(3000);
  expect(told).toEqual([4096]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual([4096]);
  await run(2000);
  await reporter.stop();
  expect(told).toEqual([4096, 2048]);
  await run(60_000);
  expect(told).toHaveLength(2);
});

test('while Redis does not answer nothing more is sent, and the end waits a second for it at most', async () => {
  const { reporter, told, run } = open({ answers: () => new Promise(() => {}) });
  await reporter.start();
  await run(1000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual([4096]);
  await run(1000);
  let stopped = false;
  void reporter.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(stopped).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(stopped).toBe(true);
});

test('a report that fails is told to the log, and the next one comes all the same', async () => {
  let fails = true;
  const { reporter, told, errors, run } = open({
    answers: async () => {
      if (fails) throw new Error('away');
    },
  });
  await reporter.start();
  await run(1000);
  await vi.advanceTimersByTimeAsync(4000);
  fails = false;
  await run(1000);
  await vi.advanceTimersByTimeAsync(4000);
  expect(errors).toEqual(['away']);
  expect(told).toHaveLength(2);
  await reporter.stop();
});
