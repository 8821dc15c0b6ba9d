/**
 * Ridge regression on sparse rows: D of least ‖X·D − R‖² + λ‖D‖², by conjugate gradients on (XᵀX + λ)·D = XᵀR, preconditioned by
 * the diagonal (Hestenes and Stiefel 1952), all columns at once with a step of their own each. Sums are in float64.
 */
import { multiplyInto, multiplyTransposed, multiplyTransposedInto, rowCount, type TokenRows } from './token-rows.js';

export interface RidgeStep {
  /** From 1. */
  readonly iteration: number;
  /** [X's width, columns]; the same memory at each step. */
  readonly solution: Float64Array;
  /** Largest norm of a column's residual, as a share of where it began. */
  readonly residual: number;
}

/** Steps without end: whoever takes them knows when they are enough. They end by themselves where nothing is left to do. */
export function* ridgeSteps(x: TokenRows, target: Float64Array, columns: number, ridge: number): Generator<RidgeStep> {
  const size = x.width * columns;
  const scales = preconditioner(x, ridge);
  const solution = new Float64Array(size);
  const residual = multiplyTransposed(x, target, columns);
  const direction = new Float64Array(size);
  const image = new Float64Array(rowCount(x) * columns);
  const product = new Float64Array(size);
  const first = normsOf(residual, scales, columns);
  let norms = first;
  let turns = new Float64Array(columns);
  for (let iteration = 1; ; iteration++) {
    for (let t = 0, at = 0; t < x.width; t++) {
      for (let c = 0; c < columns; c++, at++) direction[at] = residual[at]! * scales[t]! + turns[c]! * direction[at]!;
    }
    multiplyInto(x, direction, columns, image);
    multiplyTransposedInto(x, image, columns, product);
    const curvature = new Float64Array(columns);
    for (let t = 0, at = 0; t < x.width; t++) {
      for (let c = 0; c < columns; c++, at++) {
        product[at] = product[at]! + ridge * direction[at]!;
        curvature[c] = curvature[c]! + direction[at]! * product[at]!;
      }
    }
    const steps = norms.map((norm, c) => (curvature[c]! > 0 ? norm / curvature[c]! : 0));
    for (let t = 0, at = 0; t < x.width; t++) {
      for (let c = 0; c < columns; c++, at++) {
        solution[at] = solution[at]! + steps[c]! * direction[at]!;
        residual[at] = residual[at]! - steps[c]! * product[at]!;
      }
    }
    const next = normsOf(residual, scales, columns);
    const share = next.reduce((most, norm, c) => Math.max(most, first[c]! > 0 ? norm / first[c]! : 0), 0);
    turns = next.map((norm, c) => (norms[c]! > 0 ? norm / norms[c]! : 0));
    norms = next;
    yield { iteration, solution, residual: Math.sqrt(share) };
    if (share < EXACT) return;
  }
}

/** Square of the residual's share at which float64 has no more to give. */
const EXACT = 1e-28;

/** 1 / diagonal of XᵀX + λ; features that come twice in a text are taken for two. */
function preconditioner({ starts, features, scales, width }: TokenRows, ridge: number): Float64Array {
  const diagonal = new Float64Array(width).fill(ridge);
  for (let n = 0; n < scales.length; n++) {
    for (let at = starts[n]!; at < starts[n + 1]!; at++) {
      diagonal[features[at]!] = diagonal[features[at]!]! + scales[n]! ** 2;
    }
  }
  return diagonal.map((value) => 1 / value);
}

/** Of each column, squared: Σ residual² × preconditioner. */
function normsOf(residual: Float64Array, scales: Float64Array, columns: number): Float64Array {
  const norms = new Float64Array(columns);
  for (let t = 0, at = 0; t < scales.length; t++) {
    for (let c = 0; c < columns; c++, at++) norms[c] = norms[c]! + residual[at]! ** 2 * scales[t]!;
  }
  return norms;
}
