/** Scales of blocks whose weights count differently: as good as any that there is, and plain ones where they count alike. */
import { describe, expect, test } from 'vitest';
import { quantiseBlocks } from './quantise-blocks.js';
import { ScaleSearch } from './scale-search.js';
import { gaussian, seeded } from './weights.testing.js';

/** Squared error of the weights at a scale, each by what it counts. */
function errorAt(values: Float64Array, importance: Float64Array, scale: number, [lowest, highest]: readonly number[]) {
  let sum = 0;
  for (const [i, value] of values.entries()) {
    const level = scale === 0 ? 0 : Math.min(highest!, Math.max(lowest!, Math.round(value / scale)));
    sum += importance[i]! * (value - scale * level) ** 2;
  }
  return sum;
}

/** Of 8,000 scales of either sign. */
function leastError(values: Float64Array, importance: Float64Array, range: readonly number[]): number {
  const peak = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let least = errorAt(values, importance, 0, range);
  for (let n = 1; n <= 4000; n++) {
    const scale = (peak / (range[1]! * 2.5)) * (1 + n / 400);
    for (const sign of [1, -1]) least = Math.min(least, errorAt(values, importance, sign * scale, range));
  }
  return least;
}

describe('weights that count differently', () => {
  const [blocks, length] = [300, 16];
  const random = seeded(11);
  /** As inputs of transformers are: a few count a hundred times as much as most. */
  const cases = Array.from({ length: blocks }, (_, n) => ({
    values: Float64Array.from(gaussian(length, n + 1)),
    importance: Float64Array.from({ length }, () => Math.exp(6 * (random() - 0.5))),
  }));

  test('get a scale that hardly any other is better than', () => {
    const range = [-8, 7];
    const search = new ScaleSearch(4);
    const ratios = cases.map(({ values, importance }) => {
      search.symmetric(values, length, importance);
      return errorAt(values, importance, search.scale, range) / leastError(values, importance, range);
    });
    expect(ratios.reduce((sum, ratio) => sum + ratio, 0) / blocks).toBeLessThan(1.002);
    expect(Math.max(...ratios)).toBeLessThan(1.2);
  });

  test('lose less by it than by the scale that they would have if they counted alike', () => {
    const search = new ScaleSearch(4);
    const range = [-8, 7];
    let [weighted, plain] = [0, 0];
    for (const { values, importance } of cases) {
      search.symmetric(values, length, importance);
      weighted += errorAt(values, importance, search.scale, range);
      search.symmetric(values, length);
      plain += errorAt(values, importance, search.scale, range);
    }
    expect(weighted).toBeLessThan(0.8 * plain);
  });

  test('with a zero point each lose less too', () => {
    const format = { bits: 4, block: 32, symmetric: false } as const;
    const values = gaussian(64 * 128, 5);
    const importance = Float32Array.from({ length: 128 }, () => Math.exp(6 * (random() - 0.5)));
    const error = (counts?: Float32Array) => {
      const { data, scales, zeroPoints } = quantiseBlocks(values, 64, 128, format, { importance: counts });
      let sum = 0;
      for (let at = 0; at < values.length; at++) {
        const block = Math.floor(at / 32);
        const zero = (zeroPoints![block >> 1]! >> (4 * (block & 1))) & 15;
        const level = (data[at >> 1]! >> (4 * (at & 1))) & 15;
        sum += importance[at % 128]! * (values[at]! - (level - zero) * scales[block]!) ** 2;
      }
      return sum;
    };
    expect(error(importance)).toBeLessThan(0.9 * error());
  });
});

test.each([4, 8] as const)(
  'weights that count alike, whatever that is, are rounded as if nothing was said: %d bits',
  (bits) => {
    for (const symmetric of [true, false]) {
      const format = { bits, block: 32, symmetric } as const;
      const values = gaussian(16 * 80, 9);
      const plain = quantiseBlocks(values, 16, 80, format);
      for (const count of [1, 0.003]) {
        expect(quantiseBlocks(values, 16, 80, format, { importance: new Float32Array(80).fill(count) })).toEqual(plain);
      }
      // Of the first of three blocks only.
      const importance = Float32Array.from({ length: 80 }, (_, n) => (n < 32 ? 1 + n : 1));
      const { scales } = quantiseBlocks(values, 16, 80, format, { importance });
      expect(scales.filter((_, n) => n % 3 > 0)).toEqual(plain.scales.filter((_, n) => n % 3 > 0));
      expect(scales.filter((_, n) => n % 3 === 0)).not.toEqual(plain.scales.filter((_, n) => n % 3 === 0));
    }
  },
);

test('huge and tiny weights stay numbers, whatever they count', () => {
  const importance = Float32Array.from({ length: 64 }, (_, n) => 10 ** (n % 9));
  for (const size of [3e38, 1e-44]) {
    const values = gaussian(64, 4).map((value) => Math.max(-size, Math.min(size, value * size)));
    for (const symmetric of [true, false]) {
      const { scales } = quantiseBlocks(values, 1, 64, { bits: 4, block: 32, symmetric }, { importance });
      expect(scales.every(Number.isFinite)).toBe(true);
    }
  }
});
