/** Formats within a budget: never more bytes, and hardly ever more harm than the best choice there is. */
import { ShoalError } from '@shoal/contracts';
import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import { chooseFormats, type Unit } from './choose-formats.js';

const SIZES = { small: 4.25, middle: 5, large: 9 };

/** Units of different sizes, whose harm differs by orders of magnitude. */
function unitsOf(count: number, seed: number): Unit[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, n) => {
    const weights = 100 * (1 + Math.floor(9 * random()));
    const harm = weights * 10 ** (-3 * random());
    const shares = { small: 1.6, middle: 1, large: 0.01 };
    return {
      name: `unit ${n}`,
      options: (['small', 'middle', 'large'] as const).map((format) => ({
        format,
        bytes: weights * SIZES[format],
        harm: harm * shares[format],
      })),
    };
  });
}

/** The least harm within the budget, of all choices. */
function least(units: readonly Unit[], budget: number): number {
  const [first, ...others] = units;
  if (first === undefined) return 0;
  const harms = first.options.flatMap(({ bytes, harm }) =>
    bytes > budget ? [] : [harm + least(others, budget - bytes)],
  );
  return Math.min(Number.POSITIVE_INFINITY, ...harms);
}

describe.each([1, 2, 3, 4, 5])('units of seed %d', (seed) => {
  const units = unitsOf(8, seed);
  const total = (format: string) =>
    units.reduce((sum, { options }) => sum + options.find((option) => option.format === format)!.bytes, 0);
  const [lowest, highest] = [total('small'), total('large')];

  test('never take more than the budget, and say truly what they take', () => {
    for (let budget = lowest; budget <= highest; budget += (highest - lowest) / 50) {
      const { formats, bytes, harm } = chooseFormats(units, budget);
      expect(bytes).toBeLessThanOrEqual(budget);
      const own = units.map(({ name, options }) => options.find(({ format }) => format === formats.get(name))!);
      expect(own.reduce((sum, option) => sum + option.bytes, 0)).toBeCloseTo(bytes);
      expect(own.reduce((sum, option) => sum + option.harm, 0)).toBeCloseTo(harm);
    }
  });

  test('do little more harm than the best choice does', () => {
    for (const share of [0.1, 0.3, 0.6]) {
      const budget = lowest + share * (highest - lowest);
      expect(chooseFormats(units, budget).harm).toBeLessThanOrEqual(1.2 * least(units, budget));
    }
  });

  test('with room for all are the best ones', () => {
    expect(new Set(chooseFormats(units, highest).formats.values())).toEqual(new Set(['large']));
  });
});

test('a budget that is too small is refused with what it takes', () => {
  expect(() => chooseFormats(unitsOf(3, 1), 10)).toThrow(ShoalError);
  expect(() => chooseFormats(unitsOf(3, 1), 10)).toThrow(/take \d+.* bytes, and 10 are allowed/);
});
