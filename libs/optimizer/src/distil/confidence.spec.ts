import { seededRandom } from '@shoal/training';
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
    // At most 9.15 of a Poisson variable that was 4, 10.51 of one that was 5 (Garwood 1936).
    expect(found.asked).toBeCloseTo(0.296, 10);
    expect(found.threshold).toBeCloseTo(0.2965, 6);
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

  test('the first threshold that fails is the last that is tried: a later one would fit by chance', () => {
    // Five lost among the surest, made up for later.
    const losses = Array.from({ length: 1000 }, (_, n) => (n >= 100 && n < 106 ? 1 : n >= 500 && n < 540 ? -1 : 0));
    expect(calibrate(judged(losses), 0.01)!.asked).toBeCloseTo(1 - 104 / 1000, 10);
  });

  test('of students that lose just more than is allowed wherever they answer, one of twenty is let answer', () => {
    const random = seededRandom(4);
    const [count, budget] = [1000, 0.01];
    // Whoever answers the surest 300 loses 1.05 % of all.
    const wrong = Array.from({ length: 300 }, () => {
      const losses = Array.from({ length: count }, (_, n) => Number(n < 300 ? random() < 0.035 : 0));
      const found = calibrate(judged(losses), budget);
      return found !== null && found.asked < 0.7;
    }).filter(Boolean).length;
    expect(wrong / 300).toBeLessThan(0.09);
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
