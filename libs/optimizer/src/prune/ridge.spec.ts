/** Least squares agree with those of a dense solver, and a refitted map does what the whole one did where that can be done. */
import { inverse, Matrix } from 'ml-matrix';
import { expect, test } from 'vitest';
import { chooseGroups, refit } from './refit.js';
import { centred, type Moments, solverOf } from './ridge.js';

/** Numbers that look random, the same each time. */
function numbers(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const TOKENS = 200;
const [M, K] = [12, 5];
const X = new Matrix(TOKENS, M);
const Y = new Matrix(TOKENS, K);
for (let row = 0; row < TOKENS; row++) {
  X.setRow(
    row,
    numbers(M, 7 * row + 1).map((value, n) => value + n / 10),
  );
  Y.setRow(row, numbers(K, 13 * row + 5));
}

function momentsOf(x: Matrix, y: Matrix): Moments {
  const sums = (matrix: Matrix) => Float64Array.from(matrix.sum('column'));
  const flat = (matrix: Matrix) => Float64Array.from(matrix.to1DArray());
  return {
    tokens: x.rows,
    xx: flat(x.transpose().mmul(x)),
    x: sums(x),
    xy: flat(x.transpose().mmul(y)),
    y: sums(y),
  };
}

test('a solution is that of the dense normal equations', () => {
  const { xx, xy } = momentsOf(X, Y);
  const pull = 0.1;
  const gram = X.transpose().mmul(X);
  const lambda = (pull * gram.trace()) / M;
  const dense = inverse(Matrix.add(gram, Matrix.eye(M).mul(lambda)));
  const wanted = dense.mmul(X.transpose().mmul(Y)).to1DArray();
  const solver = solverOf(xx, pull);
  for (const [n, value] of solver.solve(xy, K).entries()) expect(value).toBeCloseTo(wanted[n]!, 10);
  for (const [n, value] of solver.inverse().entries()) expect(value).toBeCloseTo(dense.to1DArray()[n]!, 10);
});

test('moments about the means are those of the numbers less their means', () => {
  const less = (matrix: Matrix) => matrix.clone().subRowVector(matrix.mean('column'));
  const about = centred(momentsOf(X, Y));
  const direct = momentsOf(less(X), less(Y));
  for (const part of ['xx', 'xy'] as const) {
    for (const [n, value] of about[part].entries()) expect(value).toBeCloseTo(direct[part][n]!, 9);
  }
});

test('sums of nothing but zeros have a solution, and of what is no number none', () => {
  expect([...solverOf(new Float64Array(4), 0.1).solve(Float64Array.of(0, 0), 1)]).toEqual([0, 0]);
  expect(() => solverOf(Float64Array.of(Number.NaN, 0, 0, 1), 0.1)).toThrow(RangeError);
});

/** The last four inputs follow from the others. */
const DEPENDENT = new Matrix(TOKENS, M);
for (let row = 0; row < TOKENS; row++) {
  for (let column = 0; column < M; column++) {
    const own = column < 8 ? column : column - 8;
    DEPENDENT.set(row, column, X.get(row, own) * (column < 8 ? 1 : 2) + (column < 8 ? 0 : 0.5));
  }
}
const MOMENTS = momentsOf(DEPENDENT, Y);
const WEIGHT = { shape: [K, M], values: Float32Array.from(numbers(K * M, 99)) };
const BIAS = { shape: [K], values: Float32Array.from(numbers(K, 3)) };

function outputs(weight: ArrayLike<number>, bias: ArrayLike<number>, columns: readonly number[]): number[] {
  return DEPENDENT.to2DArray().flatMap((row) =>
    Array.from({ length: K }, (_, out) =>
      columns.reduce((sum, column, n) => sum + weight[out * columns.length + n]! * row[column]!, bias[out]!),
    ),
  );
}

const read = (tensor: { data: { bytes(): Uint8Array } } | undefined) =>
  new Float32Array(Uint8Array.from(tensor!.data.bytes()).buffer);

test('inputs that follow from others are taken over, with what is constant of them in the bias', () => {
  const kept = [0, 1, 2, 3, 4, 5, 6, 7];
  const fitted = refit({ weight: WEIGHT, bias: BIAS }, MOMENTS, kept);
  const whole = outputs(WEIGHT.values, BIAS.values, [...Array(M).keys()]);
  const found = outputs(read(fitted.weight), read(fitted.bias), kept);
  const worst = Math.max(...found.map((value, n) => Math.abs(value - whole[n]!)));
  expect(worst).toBeLessThan(0.02);
});

test('of inputs that do the same one is kept, alone or in groups', () => {
  const map = { weight: WEIGHT, bias: BIAS };
  const each = Array.from({ length: M }, (_, n) => [n]);
  const kept = chooseGroups(map, MOMENTS, each, 8);
  // 0 and 8, 1 and 9, ... are of one kind.
  expect(new Set(kept.map((n) => (n < 8 ? n : n - 8))).size).toBe(8);
  const pairs = [
    [0, 1],
    [8, 9],
    [2, 3, 10, 11],
    [4, 5],
    [6, 7],
  ];
  const groups = chooseGroups(map, MOMENTS, pairs, 4);
  expect(groups.filter((group) => group > 1)).toEqual([2, 3, 4]);
});
