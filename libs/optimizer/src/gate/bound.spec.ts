/** Bounds hold: of samples of a known distribution, at most a twentieth has one that lies under the true mean. */

import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import { ALPHA, boundOf } from './bound.js';
import { flipsBound } from './flips-bound.js';

describe('of flips', () => {
  test('none of n: the rule of three; without gains: the exact bound of a Poisson variable; with a gain less than that', () => {
    expect(flipsBound(0, 0, ALPHA)).toBeCloseTo(-Math.log(0.05), 6);
    // Half of the 95 % quantiles of χ² with 4 and 22 degrees of freedom (Garwood 1936).
    expect(flipsBound(1, 0, ALPHA)).toBeCloseTo(4.7439, 3);
    expect(flipsBound(10, 0, ALPHA)).toBeCloseTo(16.9622, 3);
    // A gain and no loss: of gains at a rate of 1/2, the likeliest, e^−x Σ x^b/b! P(G > b) is 5 % at x = 2.616 (by hand).
    expect(flipsBound(0, 1, ALPHA)).toBeCloseTo(2.116, 3);
    expect(boundOf(new Float64Array(300), seededRandom(1))).toEqual({
      mean: 0,
      bound: expect.closeTo(2.99573 / 300, 6),
    });
  });

  test('of many it is that of a normal distribution', () => {
    const sure = 1.644854;
    expect(flipsBound(600, 500, ALPHA)).toBeCloseTo(100 + sure * Math.sqrt(1100), -1);
    expect(flipsBound(500, 600, ALPHA)).toBeCloseTo(-100 + sure * Math.sqrt(1100), -1);
  });

  test('more losses and fewer gains never make it smaller', () => {
    for (let lost = 0; lost < 12; lost++) {
      for (let gained = 0; gained < 12; gained++) {
        const bound = flipsBound(lost, gained, ALPHA);
        expect(flipsBound(lost + 1, gained, ALPHA)).toBeGreaterThan(bound);
        expect(flipsBound(lost, gained + 1, ALPHA)).toBeLessThan(bound);
      }
    }
  });

  test('covers the true difference whatever the rates, rare ones too: counted exactly, without chance', () => {
    const bounds = new Map<string, number>();
    const boundAt = (lost: number, gained: number) => {
      const key = `${lost} ${gained}`;
      const bound = bounds.get(key) ?? flipsBound(lost, gained, ALPHA);
      bounds.set(key, bound);
      return bound;
    };
    for (const lossRate of [0.5, 1, 2, 3, 3.5, 5, 8, 13, 20]) {
      for (const gainRate of [0, 0.1, 0.5, 1, 2, 5, 10]) {
        const [losses, gains] = [poisson(lossRate), poisson(gainRate)];
        let covered = 0;
        for (const [lost, p] of losses.entries()) {
          for (const [gained, q] of gains.entries()) {
            if (p * q > 1e-7 && boundAt(lost, gained) >= lossRate - gainRate) covered += p * q;
          }
        }
        expect(covered, `${lossRate} lost, ${gainRate} gained`).toBeGreaterThan(0.94);
      }
    }
  });
});

describe('of losses of any size', () => {
  /** Skewed as losses are: most texts lose next to nothing, some much. Mean e^(1/2) − 1.5. */
  const skewed = (random: () => number) => Math.exp(normal(random)) - 1.5;
  const TRUE_MEAN = Math.exp(0.5) - 1.5;

  test('covers the mean of a skewed distribution nine times of ten from 200 texts, and is the same for one seed', () => {
    const random = seededRandom(7);
    const samples = Array.from({ length: 150 }, () => Array.from({ length: 200 }, () => skewed(random)));
    const covered = samples.filter((losses) => boundOf(losses, random).bound >= TRUE_MEAN).length;
    expect(covered / samples.length).toBeGreaterThan(0.9);
    const [losses = []] = samples;
    expect(boundOf(losses, seededRandom(3))).toEqual(boundOf(losses, seededRandom(3)));
  });

  test('is near the normal one where losses are normal and many', () => {
    const random = seededRandom(5);
    const losses = Array.from({ length: 2000 }, () => 0.3 + normal(random));
    const { mean, bound } = boundOf(losses, random);
    expect(bound - mean).toBeCloseTo(1.645 / Math.sqrt(2000), 2);
  });

  test('texts count by their weights', () => {
    const random = seededRandom(2);
    const losses = Array.from({ length: 400 }, (_, n) => (n % 2 ? 1 : 0) + 0.1 * normal(random));
    const weights = losses.map((_, n) => (n % 2 ? 3 : 1));
    expect(boundOf(losses, random, { weights }).mean).toBeCloseTo(0.75, 1);
    const even = losses.map(() => 7);
    expect(boundOf(losses, random, { weights: even }).mean).toBeCloseTo(boundOf(losses, random).mean, 10);
  });

  test('where few texts differ, more of them may among those that were not seen', () => {
    const losses = new Float64Array(1000);
    losses[17] = 0.5;
    // One of a thousand: as of so many flips of half the size.
    expect(boundOf(losses, seededRandom(1)).bound).toBeGreaterThanOrEqual((0.5 * 4.743) / 1000);
  });

  test('where none differs, the size of an answer is what three of all texts may have lost', () => {
    // 50 entities in 1,000 texts: three of them, 6 %.
    const { bound } = boundOf(new Float64Array(1000), seededRandom(1), { answer: 20 });
    expect(bound).toBeCloseTo(2.99573 / 50, 4);
  });

  test('losses all alike, or of one text, have a bound above their mean', () => {
    expect(boundOf(new Float64Array(100).fill(0.2), seededRandom(1)).bound).toBeGreaterThan(0.2);
    expect(boundOf([0.2], seededRandom(1)).bound).toBeGreaterThan(0.2);
    expect(() => boundOf([], seededRandom(1))).toThrow(RangeError);
    expect(() => boundOf([Number.NaN], seededRandom(1))).toThrow(RangeError);
  });
});

function poisson(rate: number): number[] {
  const values = [Math.exp(-rate)];
  while (values.length < rate + 10 * Math.sqrt(rate) + 12) values.push((values.at(-1)! * rate) / values.length);
  return values;
}

/** Box and Muller's. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

test('of several bounds that are to hold together each is of a smaller error, and lies higher', () => {
  const half = ALPHA / 2;
  expect(boundOf(new Float64Array(300), seededRandom(1), { alpha: half }).bound).toBeCloseTo(-Math.log(half) / 300, 6);
  const random = seededRandom(3);
  const losses = Float64Array.from({ length: 200 }, () => random() - 0.5);
  const bounds = [ALPHA, half, ALPHA / 5].map((alpha) => boundOf(losses, seededRandom(1), { alpha }).bound);
  expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  expect(new Set(bounds).size).toBe(3);
});

test('a bound that is hardly ever to be wrong is by so many resamples that some lie beyond it', () => {
  const random = seededRandom(9);
  const losses = Float64Array.from({ length: 100 }, () => normal(random));
  const [rare, least] = [1e-3, 1e-4].map((alpha) => boundOf(losses, seededRandom(1), { alpha }));
  // Student's distribution of 99 degrees of freedom: 3.17 and 3.86 standard errors.
  const error = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - rare!.mean) ** 2, 0)) / losses.length;
  expect((rare!.bound - rare!.mean) / error).toBeGreaterThan(2.8);
  expect((rare!.bound - rare!.mean) / error).toBeLessThan(3.7);
  expect((least!.bound - least!.mean) / error).toBeGreaterThan(3.4);
  expect((least!.bound - least!.mean) / error).toBeLessThan(4.6);
});
