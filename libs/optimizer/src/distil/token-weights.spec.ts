import { expect, test } from 'vitest';
import { tokenWeights } from './token-weights.js';

test('a token weighs less the more often it comes, wherever it stands in the vocabulary', () => {
  const weights = tokenWeights(Uint32Array.of(0, 900, 1, 99, 0));
  expect([...weights].map((weight) => weight.toFixed(4))).toEqual(['1.0000', '0.0011', '0.5000', '0.0100', '1.0000']);
  expect([...tokenWeights(Uint32Array.of(99, 0, 900, 0, 1))]).toEqual([3, 0, 1, 4, 2].map((n) => weights[n]));
});

test('without any text all tokens weigh the same', () => {
  expect([...tokenWeights(new Uint32Array(3))]).toEqual([1, 1, 1]);
});
