/** How far answers are from each other. */
import { expect, test } from 'vitest';
import { divergence } from './divergence.js';

test('divergence of logits is that of their probabilities, wherever their zero is', () => {
  // 1/2, 1/4, 1/4 beside 1/4, 1/2, 1/4: log 2 / 2 - log 2 / 4.
  const p = Float32Array.of(Math.log(2), 0, 0);
  const q = Float32Array.of(0, Math.log(2), 0);
  expect(divergence(p, q)).toBeCloseTo(Math.log(2) / 4, 6);
  const moved = q.map((logit) => logit + 100);
  expect(divergence(p, moved)).toBeCloseTo(Math.log(2) / 4, 4);
  expect(divergence(p, p)).toBe(0);
});

test('what is impossible is no number too many', () => {
  const p = Float32Array.of(0, -1e9, -50);
  expect(divergence(p, Float32Array.of(0, -1e9, -40))).toBeCloseTo(0, 6);
});
