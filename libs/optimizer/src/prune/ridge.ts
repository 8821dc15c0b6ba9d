/** Least squares with a pull towards zero, from sums over tokens, in 64-bit floats. */
import { cholesky, inverseOf, solve } from '../linear/cholesky.js';

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
