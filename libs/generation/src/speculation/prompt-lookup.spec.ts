import { expect, test } from 'vitest';
import { lookUp, predictionOf } from './prompt-lookup.js';

const ids = (...tokens: number[]) => Uint32Array.from(tokens);
const found = (tokens: Uint32Array, prediction: Uint32Array | null = null, count = 3) => [
  ...lookUp(tokens, prediction, count),
];

test('what followed the same tokens last is proposed, of the longest match', () => {
  expect(found(ids(1, 2, 3, 7, 8, 9, 5, 1, 2, 3))).toEqual([7, 8, 9]);
  // Two places: the later one.
  expect(found(ids(1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3), null, 1)).toEqual([8]);
  // Three tokens in an earlier place say more than two in a later one.
  expect(found(ids(1, 2, 3, 7, 6, 2, 3, 8, 1, 2, 3), null, 1)).toEqual([7]);
  expect(found(ids(4, 2, 3, 8, 1, 2, 3), null, 1)).toEqual([8]);
});

test('nothing is proposed where nothing was before, nor more than is asked for', () => {
  expect(found(ids())).toEqual([]);
  expect(found(ids(1))).toEqual([]);
  expect(found(ids(1, 2, 3, 4, 5))).toEqual([]);
  expect(found(ids(1, 2, 1, 2), null, 0)).toEqual([]);
  // A text that repeats itself: as far as it goes, and from where it goes on the longest.
  expect(found(ids(1, 1, 1))).toEqual([1]);
  expect(found(ids(1, 1, 1, 1))).toEqual([1]);
  expect(found(ids(1, 2, 1, 2, 1, 2, 1, 2))).toEqual([1, 2, 1]);
});

test('a prediction is followed from the first token on, and again where the answer comes back to it', () => {
  const prompt = ids(1, 2, 3, 4);
  const prediction = predictionOf(prompt, ids(10, 11, 12, 13, 14));
  expect(found(prompt, prediction)).toEqual([10, 11, 12]);
  expect(found(ids(1, 2, 3, 4, 10, 11, 99, 12, 13), prediction)).toEqual([14]);
  expect(predictionOf(prompt, null)).toBeNull();
});
