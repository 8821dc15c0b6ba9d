import { describe, expect, test } from 'vitest';
import { calibrate, confidenceOf, type Judged } from './confidence.js';

/** Texts from the surest on, with what the student loses on each. */
const judged = (losses: readonly number[]): Judged[] =>
  losses.map((loss, n) => ({ confidence: 1 - n / losses.length, loss }));

describe('the threshold of a cascade', () => {
  test('asks the teacher for no text where the student never loses', () => {
    expect(calibrate(judged(new Array<number>(400).fill(0)), 0.01)).toMatchObject({ threshold: 0, asked: 0 });
  });

  test('asks for all texts that are less sure than the budget allows', () => {
    const found = calibrate(judged([...new Array<number>(700).fill(0), ...new Array<number>(300).fill(1)]), 0.01)!;
    // (k + 1.645 √(k + 1)) / 1000 ≤ 0.01
    expect(found.asked).toBeCloseTo(0.295, 10);
    expect(found.threshold).toBeCloseTo(0.2955, 6);
    expect(found.bound).toBeLessThanOrEqual(0.01);
  });

  test('asks for all where too few texts prove anything, and where the surest are wrong', () => {
    expect(calibrate(judged(new Array<number>(100).fill(0)), 0.01)).toBeNull();
    expect(calibrate(judged(new Array<number>(400).fill(1)), 0.005)).toBeNull();
  });

  test('what the student gets right and the teacher does not makes up for what it loses', () => {
    const losses = Array.from({ length: 2000 }, (_, n) => (n % 40 === 0 ? 1 : n % 40 === 1 ? -1 : 0));
    expect(calibrate(judged(losses), 0.01)).toMatchObject({ threshold: 0 });
  });

  test('texts of the same confidence are on the same side', () => {
    const same = [...new Array<number>(500).fill(0), ...new Array<number>(500).fill(1)].map((loss) => ({
      confidence: 0.5,
      loss,
    }));
    expect(calibrate(same, 0.01)).toBeNull();
  });
});

test('confidence is the largest share of one class, and the least sure of classes that each may be', () => {
  expect(confidenceOf('softmax', Float64Array.of(0, 0, 0, 0))).toBeCloseTo(0.25);
  expect(confidenceOf('softmax', Float64Array.of(Math.log(9), 0))).toBeCloseTo(0.9);
  expect(confidenceOf('sigmoid', Float64Array.of(9, -9, 0))).toBeCloseTo(0.5);
  expect(confidenceOf('sigmoid', Float64Array.of(-Math.log(9), 9))).toBeCloseTo(0.9);
});
