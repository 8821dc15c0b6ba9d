/** Where top_k, top_p and min_p cut the list of the likeliest tokens, and which of them is drawn. */
import type { Sampling } from '../types.js';
import type { Likeliest } from './likeliest.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const NOTHING: Interval = { low: 0, high: 0 };

/** What may be drawn: the first `size` of the list and, unless `closed`, others, whose weight together is `others`. */
export interface Cut {
  readonly size: number;
  readonly closed: boolean;
  readonly others: Interval;
}

/** Writes the sums of the list's weights, relative to its first token's; returns the last one. */
export function cumulate({ values, size }: Likeliest, temperature: number, sums: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < size; i++) {
    sum += Math.exp((values[i]! - values[0]!) / temperature);
    sums[i] = sum;
  }
  return sum;
}

/** Undefined where it depends on what the weight of the others is exactly. */
export function cutOf(
  list: Likeliest,
  sums: Float64Array,
  others: Interval,
  { topK, topP, minP }: Pick<Sampling, 'topK' | 'topP' | 'minP'>,
): Cut | undefined {
  let { size } = list;
  if (topK > 0 && topK <= size) {
    size = topK;
    others = NOTHING;
  } else if (topK > 0) {
    others = { low: 0, high: Math.min(others.high, (topK - size) * weightAt(sums, size - 1)) };
  }
  const listed = sums[size - 1]!;
  const [low, high] = [listed + others.low, listed + others.high];
  let [fewest, most] = [size + 1, size + 1];
  if (topP < 1) {
    fewest = reaching(sums, size, topP * low);
    most = reaching(sums, size, topP * high);
  }
  if (minP > 0) {
    let likely = 0;
    while (likely < size && weightAt(sums, likely) >= minP) likely++;
    if (likely === size) likely = size + 1;
    fewest = Math.min(fewest, likely);
    most = Math.min(most, likely);
  }
  if (others.high === 0) {
    fewest = Math.min(fewest, size);
    most = Math.min(most, size);
  }
  if (fewest !== most) return undefined;
  if (fewest <= size) return { size: fewest, closed: true, others: NOTHING };
  return {
    size,
    closed: false,
    others: {
      low: minP > 0 ? 0 : topP < 1 ? Math.max(0, topP * low - listed) : others.low,
      high:
        topP < 1 ? Math.min(others.high, Math.max(0, topP * high - listed) + weightAt(sums, size - 1)) : others.high,
    },
  };
}

/** The place in the list that `u` falls on; undefined where it falls on others, or may. */
export function draw(sums: Float64Array, { size, closed, others }: Cut, u: number): number | undefined {
  const listed = sums[size - 1]!;
  const first = after(sums, size, u * (listed + others.low));
  if (closed) return Math.min(first, size - 1);
  return first < size && first === after(sums, size, u * (listed + others.high)) ? first : undefined;
}

function weightAt(sums: Float64Array, i: number): number {
  return i === 0 ? sums[0]! : sums[i]! - sums[i - 1]!;
}

/** How many tokens have at least `weight`; one more than there are where all have less. */
function reaching(sums: Float64Array, size: number, weight: number): number {
  let i = 0;
  while (i < size && sums[i]! < weight) i++;
  return i + 1;
}

/** How many of the list's tokens have sums up to `weight`: the place of the one that `weight` falls on. */
export function after(sums: Float64Array, size: number, weight: number): number {
  let i = 0;
  while (i < size && sums[i]! <= weight) i++;
  return i;
}
