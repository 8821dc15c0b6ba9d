import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { type RidgeStep, ridgeSteps } from './sparse-ridge.js';
import { multiply, multiplyTransposed, seenFeatures, type TokenRows, tokenRows } from './token-rows.js';

const WIDTH = 7;
const COLUMNS = 3;
const X = tokenRows(
  [
    { features: [0, 3, 3], scale: 1 / 3 },
    { features: [1, 2], scale: 1 / 2 },
    { features: [0, 1, 2, 6], scale: 1 / 4 },
    { features: [6], scale: 1 },
    { features: [], scale: 1 },
  ],
  WIDTH,
);
const TARGET = Float64Array.from({ length: 5 * COLUMNS }, (_, n) => Math.sin(3 * n + 1));

function dense({ starts, features, scales, width }: TokenRows): Matrix {
  const matrix = Matrix.zeros(scales.length, width);
  for (const [n, scale] of scales.entries()) {
    for (const feature of features.subarray(starts[n]!, starts[n + 1]!)) {
      matrix.set(n, feature, matrix.get(n, feature) + scale);
    }
  }
  return matrix;
}

function last(steps: Iterable<RidgeStep>): RidgeStep {
  let reached: RidgeStep | undefined;
  for (const step of steps) reached = step;
  return reached!;
}

function difference(a: Float64Array, b: readonly number[]): number {
  return a.reduce((most, value, n) => Math.max(most, Math.abs(value - b[n]!)), a.length === b.length ? 0 : 1);
}

describe('sparse rows', () => {
  test('multiply as the matrix that they stand for', () => {
    const table = Float64Array.from({ length: WIDTH * COLUMNS }, (_, n) => Math.cos(n));
    const expected = dense(X).mmul(Matrix.from1DArray(WIDTH, COLUMNS, table));
    expect(difference(multiply(X, table, COLUMNS), expected.to1DArray())).toBeLessThan(1e-15);
    const turned = dense(X)
      .transpose()
      .mmul(Matrix.from1DArray(5, COLUMNS, TARGET));
    expect(difference(multiplyTransposed(X, TARGET, COLUMNS), turned.to1DArray())).toBeLessThan(1e-15);
  });

  test('features that no row has are left out, the others keep their order', () => {
    const { rows, seen } = seenFeatures(X);
    expect([...seen]).toEqual([0, 1, 2, 3, 6]);
    expect([...rows.features]).toEqual([0, 3, 3, 1, 2, 0, 1, 2, 4, 4]);
    expect(rows.width).toBe(5);
  });
});

describe('conjugate gradients', () => {
  test.each([0.01, 0.1, 1])('reach the solution of the normal equations at a ridge of %s', (ridge) => {
    const matrix = dense(X);
    const square = matrix.transpose().mmul(matrix).add(Matrix.eye(WIDTH).mul(ridge));
    const right = matrix.transpose().mmul(Matrix.from1DArray(5, COLUMNS, TARGET));
    const expected = new CholeskyDecomposition(square).solve(right).to1DArray();
    const { solution, iteration } = last(ridgeSteps(X, TARGET, COLUMNS, ridge));
    expect(difference(solution, expected)).toBeLessThan(1e-10);
    // Never more steps than unknowns, but for rounding.
    expect(iteration).toBeLessThanOrEqual(WIDTH + 2);
  });

  test('solve each column as if it were alone', () => {
    const together = last(ridgeSteps(X, TARGET, COLUMNS, 0.1)).solution;
    for (let column = 0; column < COLUMNS; column++) {
      const own = last(
        ridgeSteps(
          X,
          TARGET.filter((_, n) => n % COLUMNS === column),
          1,
          0.1,
        ),
      ).solution;
      const part = [...together].filter((_, n) => n % COLUMNS === column);
      expect(difference(own, part)).toBeLessThan(1e-10);
    }
  });

  test('leave features that no row has, and columns that are 0, at 0', () => {
    const { solution } = last(ridgeSteps(X, new Float64Array(5 * COLUMNS), COLUMNS, 0.1));
    expect([...solution].every((value) => value === 0)).toBe(true);
    const own = last(ridgeSteps(X, TARGET, COLUMNS, 0.1)).solution;
    expect([...own.subarray(4 * COLUMNS, 6 * COLUMNS)]).toEqual(new Array(2 * COLUMNS).fill(0));
  });
});
