import { expect, test } from 'vitest';
import { type Arrivals, addArrivals, arrivalRateAt } from './arrivals.js';

const START = 1_700_000_000_000;

/** `perSecond` tokens in steps of `stepMs`. */
function steady(perSecond: number, seconds: number, stepMs: number, before: Arrivals | null = null): Arrivals {
  let arrivals = before ?? { rate: 0, at: START };
  const end = arrivals.at + seconds * 1000;
  while (arrivals.at < end) arrivals = addArrivals(arrivals, (perSecond * stepMs) / 1000, arrivals.at + stepMs);
  return arrivals;
}

test('a steady stream is its rate after some minutes, however it is cut', () => {
  for (const stepMs of [5, 100, 1000]) {
    const { rate } = steady(500, 600, stepMs);
    expect(Math.abs(rate / 500 - 1)).toBeLessThan(0.01);
  }
});

test('of a stream that sets in, 63 % is seen after a minute', () => {
  expect(steady(500, 60, 10).rate).toBeCloseTo(500 * (1 - Math.exp(-1)), 0);
});

test('the first arrival counts a sixtieth of its tokens', () => {
  expect(addArrivals(null, 600, START)).toEqual({ rate: 10, at: START });
});

test('without arrivals it fades by the time of reading: 37 % after a minute, nothing after an hour', () => {
  const arrivals = { rate: 100, at: START };
  expect(arrivalRateAt(arrivals, START)).toBe(100);
  expect(arrivalRateAt(arrivals, START + 60_000)).toBeCloseTo(100 * Math.exp(-1), 10);
  expect(arrivalRateAt(arrivals, START + 3_600_000)).toBeLessThan(1e-20);
});

test('a clock that went back does not raise it', () => {
  expect(arrivalRateAt({ rate: 100, at: START }, START - 60_000)).toBe(100);
});
