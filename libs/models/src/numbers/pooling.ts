/** From token vectors to one vector, and that vector's length. */
import type { Pooling } from '../types.js';

/**
 * Pools the first `count` vectors of `width` values each, starting at `start`, from one row of a padded batch.
 * Returns new memory.
 */
export function pool(
  values: Float32Array,
  start: number,
  count: number,
  width: number,
  pooling: Pooling,
): Float32Array {
  if (pooling === 'cls') return values.slice(start, start + width);
  if (pooling === 'last') return values.slice(start + (count - 1) * width, start + count * width);
  const mean = new Float32Array(width);
  for (let token = 0; token < count; token++) {
    const from = start + token * width;
    for (let i = 0; i < width; i++) mean[i] = mean[i]! + values[from + i]!;
  }
  for (let i = 0; i < width; i++) mean[i] = mean[i]! / count;
  return mean;
}

/** Scales `values` to unit length in place; a zero vector stays one. */
export function normalize(values: Float32Array): Float32Array {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  const scale = 1 / Math.max(Math.sqrt(squares), 1e-12);
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * scale;
  return values;
}
