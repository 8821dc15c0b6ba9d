/** How large the mean of paired losses may be beyond the texts that were measured. */
import { flipsBound } from './flips-bound.js';

/** One-sided: the share of samples whose bound may lie under the true mean. */
export const ALPHA = 0.05;
/** At least, and how many of them lie beyond the bound. With one more, a twentieth of them is a whole number. */
const [RESAMPLES, BEYOND] = [1999, 10];
/** With no more texts than this that differ at all, resampling would take those that were seen for all that there are. */
const FEW = 20;

export interface Bound {
  readonly mean: number;
  /** The one-sided upper 95 % bound of it. */
  readonly bound: number;
}

export interface BoundOptions {
  /** Where texts do not count alike. */
  readonly weights?: ArrayLike<number> | undefined;
  /** What the loss of one answer is, where none was lost. Default 1. */
  readonly answer?: number | undefined;
  /** How often the bound may be below the mean: 5 %, or less where it is one of several that are to hold together. */
  readonly alpha?: number | undefined;
}

/**
 * Of the mean of `losses`, one for each text, or of Σ wx / Σ w with `weights` (tokens of each text). Texts are what is
 * resampled: tokens of one are not independent.
 *
 * - Losses of −1, 0 and 1 are counted, and bounded as rare flips are.
 * - Others are bounded by the studentised bootstrap, which is correct to the second order and, for means of skewed losses (a few
 *   texts lose much), covers better than percentiles or BCa do (Hall 1988, Annals of Statistics 16:927; Efron and
 *   Tibshirani 1993, chapters 12 and 22).
 * - Where few texts differ at all, the bound is at least that of so many flips of the largest size that was seen.
 *
 * `random`: from 0 to 1; seed it, and the bound is the same each time.
 */
export function boundOf(
  losses: ArrayLike<number>,
  random: () => number,
  { weights, answer = 1, alpha = ALPHA }: BoundOptions = {},
): Bound {
  const count = losses.length;
  if (count === 0) throw new RangeError('a bound needs losses');
  let [lost, gained, largest, flips] = [0, 0, 0, weights === undefined];
  for (let n = 0; n < count; n++) {
    const loss = losses[n]!;
    if (!Number.isFinite(loss)) throw new RangeError('a loss is no finite number');
    if (loss > 0) lost += 1;
    if (loss < 0) gained += 1;
    largest = Math.max(largest, Math.abs(loss));
    flips &&= loss === 0 || Math.abs(loss) === 1;
  }
  const mean = meanOf(losses, weights);
  const differing = lost + gained;
  const margin = (size: number) => (size * (flipsBound(lost, gained, alpha) - lost + gained)) / count;
  // Of losses that never were there is no size but that of an answer.
  if (differing === 0) return { mean, bound: margin(answer) };
  if (flips) return { mean, bound: Math.min(1, mean + margin(1)) };
  const resampled = resampledBound(losses, { mean, largest, alpha }, random, weights);
  return { mean, bound: differing > FEW ? resampled : Math.max(resampled, mean + margin(largest)) };
}

function meanOf(losses: ArrayLike<number>, weights: ArrayLike<number> | undefined): number {
  let [sum, total] = [0, 0];
  for (let n = 0; n < losses.length; n++) {
    const weight = weights?.[n] ?? 1;
    sum += weight * losses[n]!;
    total += weight;
  }
  return sum / total;
}

function resampledBound(
  losses: ArrayLike<number>,
  { mean, largest, alpha }: { readonly mean: number; readonly largest: number; readonly alpha: number },
  random: () => number,
  weights: ArrayLike<number> | undefined,
): number {
  const count = losses.length;
  const weightOf = (n: number) => weights?.[n] ?? 1;
  // About the mean, so that sums of squares keep their digits.
  const centred = Float64Array.from({ length: count }, (_, n) => losses[n]! - mean);
  const own = new Sums();
  for (let n = 0; n < count; n++) own.add(weightOf(n), centred[n]!);
  const error = own.error();
  // Losses all alike, but for the rounding of their mean.
  // Of `count` texts without a loss up to -ln alpha / count of all may have one: 2.996 / count at 5 %.
  if (error <= 1e-12 * largest) return mean + (largest * -Math.log(alpha)) / count;
  const resamples = Math.max(RESAMPLES, Math.ceil(BEYOND / alpha) - 1);
  const deviations = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    const sums = new Sums();
    for (let n = 0; n < count; n++) {
      const drawn = Math.floor(random() * count);
      sums.add(weightOf(drawn), centred[drawn]!);
    }
    deviations[resample] = sums.deviation();
  }
  const deviation = deviations.sort()[Math.floor(alpha * (resamples + 1)) - 1]!;
  const bound = mean - deviation * error;
  // Of so few texts that a resample of equal ones is common, nothing is known.
  return Number.isFinite(bound) ? bound : mean + largest;
}

/** Of a weighted mean and of its error, linearised as a ratio of two sums. */
class Sums {
  #w = 0;
  #wx = 0;
  #ww = 0;
  #wwx = 0;
  #wwxx = 0;

  add(weight: number, value: number): void {
    const [wx, ww] = [weight * value, weight * weight];
    this.#w += weight;
    this.#wx += wx;
    this.#ww += ww;
    this.#wwx += weight * wx;
    this.#wwxx += wx * wx;
  }

  error(): number {
    const mean = this.#wx / this.#w;
    const squares = this.#wwxx - 2 * mean * this.#wwx + mean * mean * this.#ww;
    return Math.sqrt(Math.max(0, squares)) / this.#w;
  }

  /** Of the mean from 0, in errors of itself. */
  deviation(): number {
    const mean = this.#wx / this.#w;
    return mean === 0 ? 0 : mean / this.error();
  }
}
