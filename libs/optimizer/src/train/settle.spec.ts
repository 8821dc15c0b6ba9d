/** Training never gives a graph that did worse than the one it began with, and of those as good the one that was trained longest. */
import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import { bestOf, isSettled } from './settle.js';
import type { Evaluation } from './types.js';

/** One each ten steps. */
function evaluations(losses: readonly number[], error = 0.005): Evaluation[] {
  return losses.map((loss, n) => ({ step: 10 * n, loss, error }));
}

describe('the graph that is taken', () => {
  test.each<[string, readonly number[], number]>([
    ['the last within a standard error of the least', [0.2, 0.012, 0.01, 0.013, 0.014, 0.02], 40],
    ['none that did worse than what training began with, however near to the least', [0.011, 0.01, 0.0105, 0.014], 20],
    ['none that did as well as that: it was changed for nothing', [0.011, 0.01, 0.011], 10],
    ['what training began with, where nothing did better', [0.01, 0.012, 0.01, 0.011], 0],
    ['what training began with, where nothing else was evaluated', [0.01], 0],
    ['none whose loss is no number', [0.02, 0.01, Number.NaN], 10],
  ])('is %s', (_, losses, step) => {
    expect(bestOf(evaluations(losses)).step).toBe(step);
  });

  test('by the error of the least itself', () => {
    const [begun, least, last] = evaluations([0.2, 0.01, 0.013]) as [Evaluation, Evaluation, Evaluation];
    expect(bestOf([begun, { ...least, error: 0.002 }, { ...last, error: 0.1 }])).toMatchObject({ step: 10 });
  });

  test('is the latest or what it was before: others may be removed', () => {
    const random = seededRandom(1);
    for (let round = 0; round < 500; round++) {
      const all = Array.from({ length: 11 }, (_, step) => ({ step, loss: random(), error: 0.3 * random() }));
      for (let count = 2; count <= all.length; count++) {
        const [before, now] = [bestOf(all.slice(0, count - 1)), bestOf(all.slice(0, count))];
        expect([before.step, count - 1]).toContain(now.step);
        expect(now.loss).toBeLessThanOrEqual(all[0]!.loss);
      }
    }
  });
});

test('training ends where five evaluations are on average no better than those before', () => {
  expect(isSettled(evaluations([0.2, 0.1, 0.1, 0.1, 0.1]))).toBe(false);
  expect(isSettled(evaluations([0.1, 0.2, 0.1, 0.1, 0.1, 0.1]))).toBe(true);
  expect(isSettled(evaluations([0.1, 0.2, 0.1, 0.05, 0.05, 0.05]))).toBe(false);
});
