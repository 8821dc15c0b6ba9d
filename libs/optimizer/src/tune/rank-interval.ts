/**
 * An interval for the centre of values that are spread alike to both sides of it, by Wilcoxon's signed ranks: the means of all
 * pairs of values, of which so many at each end are left out as the sum of ranks is seldom under (Hodges and Lehmann 1963). Of a
 * given number of values it is narrower by a third than what signs tell, and holds for one look at them only.
 */
import { type Interval, median } from './median-interval.js';

/** `alpha`: the most that the probability may be that the centre is below `low`, and that it is above `high`. */
export function rankInterval(values: readonly number[], alpha: number): Interval {
  const means = values.flatMap((one, n) => values.slice(n).map((other) => (one + other) / 2)).sort((a, b) => a - b);
  const outside = leftOut(values.length, alpha);
  return {
    median: median(means),
    low: outside < 0 ? Number.NEGATIVE_INFINITY : means[outside]!,
    high: outside < 0 ? Number.POSITIVE_INFINITY : means[means.length - 1 - outside]!,
  };
}

/** The largest sum of positive ranks that is reached or stayed under with a probability of at most `alpha`; −1: none is. */
function leftOut(count: number, alpha: number): number {
  // Each rank is positive with a probability of ½: the distribution of the sum, one rank after another.
  const most = (count * (count + 1)) / 2;
  let chances = new Float64Array(most + 1);
  chances[0] = 1;
  for (let rank = 1; rank <= count; rank++) {
    chances = chances.map((chance, sum) => (chance + (sum < rank ? 0 : chances[sum - rank]!)) / 2);
  }
  let [outside, chance] = [-1, 0];
  while (outside < most && chance + chances[outside + 1]! <= alpha) chance += chances[++outside]!;
  return outside;
}
