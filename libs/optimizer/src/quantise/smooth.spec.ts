/** What is expected to lose least loses least, and nothing is done where nothing is gained. */

import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import { smooth } from './smooth.js';
import type { InputStatistics } from './statistics.js';

const [ROWS, COLUMNS, OUT] = [128, 64, 32];

function gaussian(length: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  const one = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({ length }, one);
}

function statisticsOf(sample: Float32Array): InputStatistics {
  const columns = Array.from({ length: COLUMNS }, (_, n) => sample.filter((_, at) => at % COLUMNS === n));
  const mean = (values: Float32Array, of: (value: number) => number) =>
    values.reduce((sum, value) => sum + of(value), 0) / values.length;
  return {
    rows: ROWS,
    means: Float64Array.from(columns, (values) => mean(values, (value) => value)),
    squares: Float64Array.from(columns, (values) => mean(values, (value) => value * value)),
    lowest: Float32Array.from(columns, (values) => Math.min(...values)),
    highest: Float32Array.from(columns, (values) => Math.max(...values)),
    sample,
  };
}

const weights = gaussian(OUT * COLUMNS, 1);
const even = gaussian(ROWS * COLUMNS, 2);

test('inputs that are alike are left as they are, but for what the bias takes back', () => {
  const { inputs, left } = smooth(weights, statisticsOf(even), false);
  expect(Object.keys(inputs).sort()).toEqual(['means', 'zeroPoint']);
  expect([inputs.zeroPoint, left]).toEqual([128, 1]);
});

describe('inputs of which some are far larger', () => {
  const uneven = even.map((value, at) => (at % 16 === 3 ? 30 * value : value));

  test.each([false, true])('are brought near to each other (made by a norm: %j)', (normed) => {
    const { inputs, left } = smooth(weights, statisticsOf(uneven), normed);
    expect(left).toBeLessThan(0.2);
    const { factors } = inputs;
    expect(factors![3]! / factors![4]!).toBeLessThan(0.2);
    expect(factors!.every((factor) => factor > 0)).toBe(true);
  });

  test('one that is never there is stretched no further than others are', () => {
    const missing = uneven.map((value, at) => (at % COLUMNS === 5 ? 0 : value));
    const { factors } = smooth(weights, statisticsOf(missing), false).inputs;
    expect(factors!.every(Number.isFinite)).toBe(true);
  });
});

test('an input that is always about the same is taken away where a norm does it', () => {
  const constant = even.map((value, at) => (at % COLUMNS === 7 ? 50 + value : value));
  const { inputs, left } = smooth(weights, statisticsOf(constant), true);
  expect(inputs.offsets![7]).toBeCloseTo(50, 0);
  expect(left).toBeLessThan(0.05);
});

test('inputs that are hardly ever negative get fewer levels below 0', () => {
  const positive = even.map((value) => Math.max(value, -0.1));
  const { inputs, left } = smooth(weights, statisticsOf(positive), false);
  expect(inputs.zeroPoint).toBeLessThan(64);
  expect(left).toBeLessThan(0.8);
});
