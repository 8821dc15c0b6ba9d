/** Made-up weights, and how far others are from them. */
import type { Tensor } from '@shoal/onnxruntime';
import { expect } from 'vitest';

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function gaussian(length: number, seed: number): Float32Array {
  const random = seeded(seed);
  const one = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({ length }, one);
}

export function floats(dims: number[], data: Float32Array = new Float32Array(dims.reduce((a, b) => a * b))): Tensor {
  return { type: 'float32', dims, data };
}

/** Root of the mean squared error, relative to the weights. */
export function error(values: Float32Array, exact: Float32Array): number {
  expect(values).toHaveLength(exact.length);
  let [wrong, all] = [0, 0];
  for (const [n, value] of values.entries()) {
    wrong += (value - exact[n]!) ** 2;
    all += exact[n]! ** 2;
  }
  return Math.sqrt(wrong / all);
}
