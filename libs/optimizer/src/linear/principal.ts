/** Principal components of rows, and the sums that they are made of, in float64. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

export interface Components {
  /** [width, width]: a component a column, the one of most variance first. */
  readonly vectors: Matrix;
  readonly variances: readonly number[];
}

/** Of rows [n, width] whose mean is 0. */
export function principal(rows: Float64Array, width: number): Components {
  const covariance = crossProduct(rows, width, rows, width);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const order = realEigenvalues.map((_, n) => n).sort((a, b) => realEigenvalues[b]! - realEigenvalues[a]!);
  return {
    vectors: eigenvectorMatrix.subMatrixColumn(order),
    variances: order.map((n) => Math.max(0, realEigenvalues[n]!)),
  };
}

/** aᵀ·b / rows, [left, right], from [rows, left] and [rows, right]. */
export function crossProduct(a: Float64Array, left: number, b: Float64Array, right: number): Matrix {
  const rows = a.length / left;
  const sums = new Float64Array(left * right);
  for (let n = 0; n < rows; n++) {
    for (let i = 0; i < left; i++) {
      const value = a[n * left + i]! / rows;
      const [to, from] = [i * right, n * right];
      for (let c = 0; c < right; c++) sums[to + c] = sums[to + c]! + value * b[from + c]!;
    }
  }
  return Matrix.from1DArray(left, right, sums);
}

/** Of each column of [rows, width]. */
export function meanOf(values: Float32Array | Float64Array, width: number): Float64Array {
  const mean = new Float64Array(width);
  for (let at = 0; at < values.length; at++) mean[at % width] = mean[at % width]! + values[at]!;
  return mean.map((sum) => (sum * width) / values.length);
}

export function center(values: Float32Array | Float64Array, mean: Float64Array): void {
  for (let at = 0; at < values.length; at++) values[at] = values[at]! - mean[at % mean.length]!;
}
