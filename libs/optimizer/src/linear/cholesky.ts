/**
 * Cholesky's decomposition A = L Lᵀ over flat row-major arrays in 64-bit floats, row by row. ml-matrix has one too; it reads matrices
 * down their columns, and for a matrix of 1,536 rows takes tens of times as long.
 */

/**
 * L, from the lower half of a positive definite A [m, m], in its place; the upper half is left as it is.
 *
 * @throws RangeError where A is not positive definite
 */
export function cholesky(a: Float64Array, m: number): Float64Array {
  for (let row = 0; row < m; row++) {
    for (let column = 0; column <= row; column++) {
      let value = a[row * m + column]!;
      for (let at = 0; at < column; at++) value -= a[row * m + at]! * a[column * m + at]!;
      if (row > column) a[row * m + column] = value / a[column * m + column]!;
      else if (value > 0) a[row * m + row] = Math.sqrt(value);
      else throw new RangeError('the matrix is not positive definite');
    }
  }
  return a;
}

/** A⁻¹ B for B [m, columns], of A = L Lᵀ. */
export function solve(lower: Float64Array, m: number, b: Float64Array, columns: number): Float64Array {
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

/** L⁻¹, whose upper half is 0. */
export function inverseOfLower(lower: Float64Array, m: number): Float64Array {
  const inverse = new Float64Array(m * m);
  for (let row = 0; row < m; row++) {
    inverse[row * m + row] = 1;
    for (let other = 0; other < row; other++) {
      const factor = lower[row * m + other]!;
      for (let at = 0; at <= other; at++) inverse[row * m + at]! -= factor * inverse[other * m + at]!;
    }
    for (let at = 0; at <= row; at++) inverse[row * m + at]! /= lower[row * m + row]!;
  }
  return inverse;
}

/** A⁻¹ = L⁻ᵀ L⁻¹ */
export function inverseOf(lower: Float64Array, m: number): Float64Array {
  const own = inverseOfLower(lower, m);
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
