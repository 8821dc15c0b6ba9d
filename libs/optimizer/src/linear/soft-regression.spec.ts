import type { ScoreFunction } from '@shoal/models';
import { describe, expect, test } from 'vitest';
import { argmax } from './argmax.js';
import { minimise } from './minimise.js';
import { fitSoft, lossOf, type SoftLesson, scoresOf } from './soft-regression.js';
import { tokenRows } from './token-rows.js';

const CLASSES = 3;
const WIDTH = 6;
const { signal } = new AbortController();

function lesson(link: ScoreFunction): SoftLesson {
  const rows = Array.from({ length: 12 }, (_, n) => ({
    features: [n % 4, 4 + (n % 2), (5 * n) % 6],
    scale: 1 / Math.sqrt(3),
  }));
  const raw = Float32Array.from({ length: 12 * CLASSES }, (_, n) => 0.5 + 0.4 * Math.sin(7 * n));
  const targets = raw.slice();
  if (link === 'softmax') {
    for (let n = 0; n < 12; n++) {
      const row = targets.subarray(n * CLASSES, (n + 1) * CLASSES);
      const sum = row.reduce((all, value) => all + value, 0);
      for (let c = 0; c < CLASSES; c++) row[c] = row[c]! / sum;
    }
  }
  return { rows: tokenRows(rows, WIDTH), targets, classes: CLASSES, link };
}

const LINKS: readonly ScoreFunction[] = ['softmax', 'sigmoid', 'none'];

describe('minimise', () => {
  test('reaches the minimum of an uneven quadratic function', () => {
    const scales = Float64Array.of(1, 10, 1000, 0.1);
    const { x, gradientNorm } = minimise(
      (at, gradient) => {
        let value = 0;
        for (const [i, scale] of scales.entries()) {
          gradient[i] = scale * (at[i]! - i);
          value += (scale / 2) * (at[i]! - i) ** 2;
        }
        return value;
      },
      new Float64Array(4),
      { most: 100, tolerance: 1e-10 },
    );
    expect(gradientNorm).toBeLessThan(1e-6);
    for (const [i, value] of x.entries()) expect(value).toBeCloseTo(i, 6);
  });

  test('begins no step at a minimum', () => {
    const { steps } = minimise(() => 0, new Float64Array(3), { most: 100, tolerance: 1e-6 });
    expect(steps).toBe(0);
  });
});

describe.each(LINKS)('regression with the link %s', (link) => {
  test('has the gradient of its loss', () => {
    const own = lesson(link);
    const at = Float64Array.from({ length: (WIDTH + 1) * CLASSES }, (_, n) => Math.sin(n));
    const split = (x: Float64Array) => ({ weights: x.slice(0, WIDTH * CLASSES), bias: x.slice(WIDTH * CLASSES) });
    const gradient = new Float64Array(at.length);
    lossOf(own, split(at), gradient);
    for (const [n, slope] of gradient.entries()) {
      const moved = (by: number) => lossOf(own, split(at.map((value, i) => (i === n ? value + by : value))));
      expect(slope).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 5);
    }
  });

  test('ends where nothing is to be gained', async () => {
    const own = lesson(link);
    const options = { ridge: 0.1, most: 500, tolerance: 1e-7, signal };
    const prior = Float64Array.from({ length: WIDTH * CLASSES }, (_, n) => Math.cos(n) / 5);
    const fit = await fitSoft(own, prior, options);
    expect(fit.gradientShare).toBeLessThan(1e-6);
    const penalty = (weights: Float64Array) =>
      weights.reduce((sum, value, n) => sum + 0.05 * (value - prior[n]!) ** 2, 0);
    const least = lossOf(own, fit) + penalty(fit.weights);
    for (let n = 0; n < WIDTH * CLASSES; n++) {
      for (const by of [-1e-2, 1e-2]) {
        const weights = fit.weights.map((value, i) => (i === n ? value + by : value));
        expect(lossOf(own, { weights, bias: fit.bias }) + penalty(weights)).toBeGreaterThan(least);
      }
    }
  });

  test('stays at what it was given where the ridge is huge', async () => {
    const prior = Float64Array.from({ length: WIDTH * CLASSES }, (_, n) => Math.cos(n));
    const { weights } = await fitSoft(lesson(link), prior, { ridge: 1e9, most: 200, tolerance: 1e-9, signal });
    for (const [n, value] of weights.entries()) expect(value).toBeCloseTo(prior[n]!, 6);
  });
});

test('classes that a feature tells apart are told apart', async () => {
  const rows = Array.from({ length: 30 }, (_, n) => ({ features: [n % 3, 3 + (n % 2)], scale: 1 }));
  const targets = Float32Array.from({ length: 90 }, (_, at) => Number(Math.floor(at / 3) % 3 === at % 3));
  const own: SoftLesson = { rows: tokenRows(rows, 5), targets, classes: 3, link: 'softmax' };
  const fit = await fitSoft(own, new Float64Array(15), { ridge: 1e-3, most: 200, tolerance: 1e-6, signal });
  const scores = scoresOf(own.rows, fit);
  for (let n = 0; n < 30; n++) expect(argmax(scores.subarray(3 * n, 3 * n + 3))).toBe(n % 3);
  // What tells nothing gets no weight.
  for (const value of fit.weights.subarray(9)) expect(Math.abs(value)).toBeLessThan(1e-3);
});

test('an abort ends it', async () => {
  const aborted = AbortSignal.abort(new Error('stopped'));
  const options = { ridge: 0.1, most: 100, tolerance: 1e-9, signal: aborted };
  await expect(fitSoft(lesson('softmax'), new Float64Array(WIDTH * CLASSES), options)).rejects.toThrow('stopped');
});
