/** From token vectors to one vector, and that vector's length. */
import type { Pooling } from '@shoal/contracts';

/** The token vectors of one row of a padded batch. */
export interface TokenVectors {
  /** Of the whole batch. */
  readonly values: Float32Array;
  /** Where the row's first vector begins. */
  readonly start: number;
  /** Tokens of the row, padding aside. */
  readonly count: number;
  /** Values of a vector. */
  readonly width: number;
  /** Tokens at the beginning that are left out (a prompt's): fewer than `count`. */
  readonly skip: number;
}

/** Pools by each of `modes`, as sentence-transformers' Pooling does, side by side. Returns new memory. */
export function pool(vectors: TokenVectors, modes: readonly Pooling[]): Float32Array {
  const { width } = vectors;
  const pooled = new Float32Array(modes.length * width);
  for (const [n, mode] of modes.entries()) POOL[mode](vectors, pooled.subarray(n * width, (n + 1) * width));
  return pooled;
}

/** Writes one pooled vector; `to` is zero before. */
type Pool = (vectors: TokenVectors, to: Float32Array) => void;

const POOL: Readonly<Record<Pooling, Pool>> = {
  cls: ({ values, start, width, skip }, to) =>
    to.set(values.subarray(start + skip * width, start + (skip + 1) * width)),
  last: ({ values, start, count, width }, to) =>
    to.set(values.subarray(start + (count - 1) * width, start + count * width)),
  max({ values, start, count, width, skip }, to) {
    to.fill(Number.NEGATIVE_INFINITY);
    for (let token = skip; token < count; token++) {
      const from = start + token * width;
      for (let i = 0; i < width; i++) to[i] = Math.max(to[i]!, values[from + i]!);
    }
  },
  mean: (vectors, to) => dividedSum(vectors, to, vectors.count - vectors.skip),
  mean_sqrt_len: (vectors, to) => dividedSum(vectors, to, Math.sqrt(vectors.count - vectors.skip)),
  weightedmean({ values, start, count, width, skip }, to) {
    // The n-th token of the text weighs n, also behind a prompt that is left out.
    const weights = (count * (count + 1) - skip * (skip + 1)) / 2;
    for (let token = skip; token < count; token++) {
      const from = start + token * width;
      for (let i = 0; i < width; i++) to[i] = to[i]! + (token + 1) * values[from + i]!;
    }
    for (let i = 0; i < width; i++) to[i] = to[i]! / weights;
  },
};

function dividedSum({ values, start, count, width, skip }: TokenVectors, to: Float32Array, divisor: number): void {
  for (let token = skip; token < count; token++) {
    const from = start + token * width;
    for (let i = 0; i < width; i++) to[i] = to[i]! + values[from + i]!;
  }
  for (let i = 0; i < width; i++) to[i] = to[i]! / divisor;
}

/** Scales `values` to unit length in place; a zero vector stays one. */
export function normalize(values: Float32Array): Float32Array {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  const scale = 1 / Math.max(Math.sqrt(squares), 1e-12);
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * scale;
  return values;
}
