/**
 * An interval for a median that holds however often one looks at it and whenever one stops, and whatever the values are
 * distributed like. Who claims that at least half of the values lie below m is betted against, on shares p above m that are spread
 * evenly over ½ to 1: with w values above and l below, the bet is worth ∫ (2p)^w (2 − 2p)^l 2 dp. If the claim is right, that ever
 * reaches 1/α has a probability of at most α (Ville 1939); so the m that have lost the bet are outside. (Sequential estimation of
 * quantiles: Howard and Ramdas 2022.)
 */

export interface Interval {
  readonly median: number;
  /** Infinite while there are too few values to tell. */
  readonly low: number;
  readonly high: number;
}

/** What is multiplied exactly enough in a double: binomial coefficients of 1000 are 1e299. */
const MAX_VALUES = 1000;

/** `alpha`: the most that the probability may be that the median is ever below `low`, and that it is ever above `high`. */
export function medianInterval(values: readonly number[], alpha: number): Interval {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  const outside = exceptions(count, alpha);
  return {
    median: median(sorted),
    low: outside < 0 ? Number.NEGATIVE_INFINITY : sorted[outside]!,
    high: outside < 0 ? Number.POSITIVE_INFINITY : sorted[count - 1 - outside]!,
  };
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (Number.isInteger(middle)) return (sorted[middle - 1]! + sorted[middle]!) / 2;
  return sorted[Math.floor(middle)]!;
}

/** Of `count` values, how many may be on the other side at most where the rest tells on which the median is; −1: it never does. */
export function exceptions(count: number, alpha: number): number {
  if (count > MAX_VALUES) throw new RangeError(`no more than ${MAX_VALUES} values`);
  let most = -1;
  while (most + 1 < count / 2 && wealth(count - (most + 1), most + 1) >= 1 / alpha) most++;
  return most;
}

/**
 * The integral above. It is Σ C(n+1, i) over i from 0 to w, by (n+1)·C(n, w), with n = w + l: the incomplete beta function of
 * whole numbers is a sum of binomial probabilities.
 */
export function wealth(wins: number, losses: number): number {
  const count = wins + losses;
  let [sum, term] = [0, 1];
  for (let i = 0; i <= wins; i++) {
    sum += term;
    term *= (count + 1 - i) / (i + 1);
  }
  let chosen = 1;
  for (let i = 0; i < wins; i++) chosen *= (count - i) / (i + 1);
  return sum / ((count + 1) * chosen);
}
