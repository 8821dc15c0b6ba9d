/** Figures of rankings and of entities, on cases that can be counted by hand. */
import { describe, expect, test } from 'vitest';
import { macroF1 } from './classes.js';
import { divergenceAt, logProbability, quantileOf } from './divergence.js';
import { lossesOf } from './entities.js';
import { ndcg, ndcgOfOne, ranksOfOwn, reciprocalRank, spearman } from './rankings.js';
import { rankingsOf } from './scores.js';

describe('rankings', () => {
  test('gain is that of the order by scores, as a share of the best one', () => {
    expect(ndcg([3, 2, 1], [2, 1, 0])).toBe(1);
    const worst = 1 / Math.log2(3) + 2 / Math.log2(4);
    const best = 2 + 1 / Math.log2(3);
    expect(ndcg([1, 2, 3], [2, 1, 0])).toBeCloseTo(worst / best, 12);
    expect(ndcgOfOne(0)).toBe(1);
    expect(ndcgOfOne(2)).toBeCloseTo(0.5, 12);
    expect(ndcgOfOne(10)).toBe(0);
  });

  test('documents behind the tenth do not count, and equal scores earn nothing', () => {
    const grades = Array.from({ length: 12 }, (_, n) => Number(n === 0));
    expect(
      ndcg(
        Array.from({ length: 12 }, () => 0),
        grades,
      ),
    ).toBe(0);
    expect(
      reciprocalRank(
        Array.from({ length: 12 }, () => 0),
        grades,
      ),
    ).toBe(1 / 12);
    expect(reciprocalRank([5, 7], [1, 0])).toBe(0.5);
  });

  test('rank correlation does not mind the scale, and gives ties their mean rank', () => {
    expect(spearman([1, 2, 3], [10, 200, 3000])).toBeCloseTo(1, 12);
    expect(spearman([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 12);
    // Ranks 0.5, 0.5, 2, 3 and 0, 1, 2, 3.
    expect(spearman([1, 1, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
    expect(spearman([1, 1], [1, 2])).toBeNaN();
  });

  test('a document of a pair is ranked among those of the next pairs, but for its like', () => {
    const pairs = Array.from({ length: 30 }, (_, n) => ({
      kind: 'pair' as const,
      query: `q${n}`,
      document: `d${n === 1 ? 0 : n}`,
    }));
    const [first] = rankingsOf(pairs);
    expect(first!.documents).toHaveLength(20);
    expect(first!.documents.slice(0, 3)).toEqual([
      { text: 'd0', grade: 1 },
      { text: 'd2', grade: 0 },
      { text: 'd3', grade: 0 },
    ]);
  });
});

test('macro F1 is the mean over classes that have examples', () => {
  // a: 2 of 2 + 3, b: 1 of 2 + 1; c has none.
  expect(macroF1(['a', 'a', 'b', 'b'], ['a', 'a', 'a', 'b'])).toBeCloseTo((4 / 5 + 2 / 3) / 2, 12);
  expect(macroF1(['a', 'b'], ['a', 'c'])).toBe(0.5);
});

test('losses of entities have the difference of the two F1 as their mean, and are 0 where both find the same', () => {
  const before = [
    { hits: 2, total: 4 },
    { hits: 1, total: 3 },
    { hits: 0, total: 0 },
  ];
  const after = [
    { hits: 1, total: 4 },
    { hits: 1, total: 3 },
    { hits: 0, total: 1 },
  ];
  const losses = lossesOf(before, after);
  expect(losses.reduce((sum, loss) => sum + loss, 0) / 3).toBeCloseTo(6 / 7 - 4 / 8, 12);
  expect(lossesOf(before, before)).toEqual([0, 0, 0]);
  expect(lossesOf([{ hits: 0, total: 0 }], [{ hits: 0, total: 0 }])).toEqual([0]);
});

test('divergence is Σ p ln(p/q), and knows tokens that never come', () => {
  const predictions = (...probabilities: number[]) => {
    const logits = Float32Array.from([...probabilities, ...probabilities], (p) => Math.log(p) + 3);
    return { logits, logSumExp: Float32Array.of(3, 3), vocabulary: probabilities.length };
  };
  const [p, q] = [predictions(0.5, 0.25, 0.25, 0), predictions(0.25, 0.5, 0.125, 0.125)];
  expect(divergenceAt(p, q, 1)).toBeCloseTo(0.5 * Math.log(2) - 0.25 * Math.log(2) + 0.25 * Math.log(2), 6);
  expect(divergenceAt(p, p, 0)).toBe(0);
  expect(logProbability(q, 1, 1)).toBeCloseTo(Math.log(0.5), 6);
  expect([0, 0.5, 0.99, 1].map((share) => quantileOf([1, 2, 3, 4], share))).toEqual([1, 3, 4, 4]);
});

test('a model that finds all texts alike finds nothing; copies of the own document do not count', () => {
  const likeness = (a: number, b: number) => -Math.abs(a - b);
  expect(ranksOfOwn([1, 1, 1], [1, 1, 1], ['a', 'b', 'c'], likeness)).toEqual([2, 2, 2]);
  expect(ranksOfOwn([1, 1, 5], [1, 1, 4], ['a', 'a', 'b'], likeness)).toEqual([0, 0, 0]);
  expect(ranksOfOwn([0, 3], [9, 3], ['a', 'b'], likeness)).toEqual([1, 0]);
});
