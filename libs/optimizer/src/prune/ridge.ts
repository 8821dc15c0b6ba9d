/** Least squares with a pull towards zero, from sums over tokens, in 64-bit floats. */

/** Sums over tokens of what a token's vectors x and y multiply to. */
export interface Moments {
  readonly tokens: number;
  /** Σ x xᵀ, [m, m] row-major, symmetric; and Σ x. */
  readonly xx: Float64Array;
  readonly x: Float64Array;
  /** Σ x yᵀ, [m, k] row-major; and Σ y. Empty where there is no y. */
  readonly xy: Float64Array;
  readonly y: Float64Array;
}

/** The same about the means: what an intercept leaves to be explained. */
export function centred({ tokens, xx, x, xy, y }: Moments): Moments {
  const about = (sums: Float64Array, a: Float64Array, b: Float64Array) =>
    sums.map((sum, at) => sum - (a[Math.floor(at / b.length)]! * b[at % b.length]!) / tokens);
  return { tokens, xx: about(xx, x, x), x, xy: about(xy, x, y), y };
}

/** A positive definite matrix taken apart once, for several questions. */
export interface Solver {
  /** A⁻¹ B for B [m, k], row-major. */
  solve(b: Float64Array, columns: number): Float64Array;
  /** A⁻¹, row-major. */
  inverse(): Float64Array;
}

/**
 * Of A = `xx` + λ I, where λ is `pull` times the mean of the diagonal: 1e-3 trusts the data, 1 hardly moves.
 *
 * @throws RangeError where even that is not positive definite, or numbers are not finite
 */
export function solverOf(xx: Float64Array, pull: number): Solver {
  const m = Math.sqrt(xx.length);
  if (!xx.every(Number.isFinite)) throw new RangeError('the sums over tokens are not finite');
  const a = new Float64Array(m * m);
  let trace = 0;
  for (let n = 0; n < m; n++) trace += xx[n * m + n]!;
  // Of nothing but zeros any pull will do.
  const pulled = pull * (trace > 0 ? trace / m : 1);
  for (let row = 0; row < m; row++) {
    // Sums of 32-bit products are symmetric but for their rounding.
    for (let column = 0; column <= row; column++) {
      a[row * m + column] = (xx[row * m + column]! + xx[column * m + row]!) / 2 + (row === column ? pulled : 0);
    }
  }
  const lower = cholesky(a, m);
  return { solve: (b, columns) => solve(lower, m, b, columns), inverse: () => inverseOf(lower, m) };
}

/*
 * Cholesky's decomposition A = L Lᵀ over flat arrays, row by row. ml-matrix has one too; it reads matrices down their columns, and for
 * a matrix of 1,536 rows takes tens of times as long.
 */

/** L, from the lower half of A, in its place. */
function cholesky(a: Float64Array, m: number): Float64Array {
  for (let row = 0; row < m; row++) {
    for (let column = 0; column <= row; column++) {
      let value = a[row * m + column]!;
      for (let at = 0; at < column; at++) value -= a[row * m + at]! * a[column * m + at]!;
      if (row > column) a[row * m + column] = value / a[column * m + column]!;
      else if (value > 0) a[row * m + row] = Math.sqrt(value);
      else throw new RangeError('the sums over tokens are not positive definite');
    }
  }
  return a;
}

function solve(lower: Float64Array, m: number, b: Float64Array, columns: number): Float64Array {
  const x = b.slice();
  const subtract = (row: number, factor: number, other: number) => {
    for (let at = 0; at < columns; at++) x[row * columns + at]! -= factor * x[other * columns + at]!;
  };
  const divide = (row: number) => {
    const by = lower[row * m + row]!;
    for (let at = 0; at < columns; at++) x[row * columns + at]! /= by;
  };
  for (let row = 0; row < m; row++) {
    for (let other = 0; other < row; other++) subtract(row, lower[row * m + other]!, other);
    divide(row);
  }
  for (let row = m - 1; row >= 0; row--) {
    divide(row);
    for (let other = 0; other < row; other++) subtract(other, lower[row * m + other]!, row);
  }
  return x;
}

/** L⁻ᵀ L⁻¹ */
function inverseOf(lower: Float64Array, m: number): Float64Array {
  const own = new Float64Array(m * m);
  for (let row = 0; row < m; row++) {
    own[row * m + row] = 1;
    for (let other = 0; other < row; other++) {
      const factor = lower[row * m + other]!;
      for (let at = 0; at <= other; at++) own[row * m + at]! -= factor * own[other * m + at]!;
    }
    for (let at = 0; at <= row; at++) own[row * m + at]! /= lower[row * m + row]!;
  }
  const inverse = new Float64Array(m * m);
  for (let k = 0; k < m; k++) {
    for (let row = 0; row <= k; row++) {
      const factor = own[k * m + row]!;
      for (let at = 0; at <= row; at++) inverse[row * m + at]! += factor * own[k * m + at]!;
    }
  }
  for (let row = 0; row < m; row++) for (let at = 0; at < row; at++) inverse[at * m + row] = inverse[row * m + at]!;
  return inverse;
}
