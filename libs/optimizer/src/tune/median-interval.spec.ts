/** The interval is wrong as seldom as it says, looked at after every value. */
import { seededRandom } from '@shoal/training';
import { expect, test } from 'vitest';
import { heavyTailed } from '../testing/landscape.js';
import { exceptions, median, medianInterval, wealth } from './median-interval.js';

test('a bet is worth its integral', () => {
  for (const [wins, losses] of [
    [0, 0],
    [7, 0],
    [9, 2],
    [3, 5],
    [40, 20],
  ] as const) {
    let sum = 0;
    const steps = 20_000;
    for (let n = 0; n < steps; n++) {
      const p = 0.5 + (n + 0.5) / (2 * steps);
      sum += ((2 * p) ** wins * (2 - 2 * p) ** losses) / steps;
    }
    expect(wealth(wins, losses)).toBeCloseTo(sum, 4);
  }
});

test('of few values all have to agree, of many nearly all', () => {
  expect(exceptions(6, 0.05)).toBe(-1);
  expect(exceptions(7, 0.05)).toBe(0);
  expect(exceptions(14, 0.05)).toBe(2);
  expect(exceptions(4, 0.2)).toBe(0);
  expect(exceptions(3, 0.2)).toBe(-1);
  // Never as many as half of them.
  expect(exceptions(500, 0.2)).toBeLessThan(250);
});

test('bounds are values, or infinite', () => {
  expect(medianInterval([3, 1, 2], 0.05)).toEqual({
    median: 2,
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  });
  expect(medianInterval([7, 1, 3, 2, 6, 4, 5], 0.05)).toEqual({ median: 4, low: 1, high: 7 });
  expect(median([4, 1])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('the median is outside as seldom as promised, although one looks after each of 60 values', () => {
  const random = seededRandom(11);
  const runs = 1000;
  let [below, above] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const values: number[] = [];
    let [wasBelow, wasAbove] = [false, false];
    for (let n = 0; n < 60; n++) {
      values.push(heavyTailed(random));
      const { low, high } = medianInterval(values, 0.05);
      wasBelow ||= low > 0;
      wasAbove ||= high < 0;
    }
    below += Number(wasBelow);
    above += Number(wasAbove);
  }
  expect(below / runs).toBeLessThan(0.05);
  expect(above / runs).toBeLessThan(0.05);
});
