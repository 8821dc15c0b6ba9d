/** From logits to scores, and the best of them. */
import type { ScoreFunction } from '../types.js';

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

/** Probabilities of one row of logits; the largest is taken off first, so that nothing overflows. */
export function softmax(logits: Float32Array): Float32Array {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) largest = Math.max(largest, logit);
  const scores = new Float32Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const value = Math.exp(logits[i]! - largest);
    scores[i] = value;
    sum += value;
  }
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! / sum;
  return scores;
}

export function applyScoreFunction(logits: Float32Array, name: ScoreFunction): Float32Array {
  if (name === 'softmax') return softmax(logits);
  return name === 'sigmoid' ? logits.map(sigmoid) : logits.slice();
}

/** Indices of the `count` largest scores, largest first; equal scores keep their order. */
export function topIndices(scores: Float32Array, count: number): Uint32Array {
  const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]!);
  return Uint32Array.from(order.slice(0, count));
}

/** Index of the largest value. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

export function isFiniteArray(values: Float32Array): boolean {
  // A sum is finite only if all its terms are: one pass without a branch per value.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! - values[i]!;
  return sum === 0;
}
