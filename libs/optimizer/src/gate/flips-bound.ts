/**
 * How many more answers a candidate loses than it gains, at most, where few texts change their answer at all: then neither a
 * normal distribution nor resampling tells anything of the texts that were not seen.
 */

const BISECTIONS = 60;
/** Standard deviations beyond which nothing is summed, and tokens of room where there are few. */
const [TAIL, ROOM] = [9, 20];

/**
 * The one-sided upper bound of the expected number of losses less gains, of `lost` and `gained` that were counted in one sample,
 * at error `alpha`.
 *
 * Losses and gains are counted as Poisson variables, which for rare flips they are, and for others errs on the safe side. The
 * bound is the difference at which so few losses less gains have a probability of `alpha`, computed exactly with the
 * other parameter, the rate of gains, at its likeliest value under that difference: the constrained estimate of Tango (1998,
 * Statistics in Medicine 17:891) with the estimated p-values of Lloyd and Moldovan (2007, ibid. 26:3369) in place of his
 * normal score. Without flips it is −ln alpha: 2.996 at 5 %, the rule of three; without gains Garwood's exact bound.
 */
export function flipsBound(lost: number, gained: number, alpha: number): number {
  const seen = lost - gained;
  // At the lower end the sample is the likeliest there is; at the upper one it is out of reach.
  let [low, high] = [seen, seen + TAIL * Math.sqrt(lost + gained + 1) + ROOM];
  for (let n = 0; n < BISECTIONS; n++) {
    const middle = (low + high) / 2;
    const gains = likeliestGains(lost, gained, middle);
    if (probabilityAtMost(seen, gains + middle, gains) > alpha) low = middle;
    else high = middle;
  }
  return high;
}

/** The rate of gains that makes the counts likeliest where the rate of losses is larger by `difference`. */
function likeliestGains(lost: number, gained: number, difference: number): number {
  // Zero of the derivative of lost·ln(g + d) + gained·ln(g) − 2g − d.
  const b = 2 * difference - lost - gained;
  return Math.max(0, -difference, (Math.sqrt(b * b + 8 * gained * difference) - b) / 4);
}

/** P(L − G ≤ difference) of Poisson variables L and G of these rates. */
function probabilityAtMost(difference: number, lossRate: number, gainRate: number): number {
  const gains = poisson(gainRate);
  const losses = poisson(lossRate);
  const below = new Float64Array(losses.length);
  let total = 0;
  for (const [n, probability] of losses.entries()) {
    total += probability;
    below[n] = total;
  }
  let sum = 0;
  for (const [gained, probability] of gains.entries()) {
    const most = difference + gained;
    if (most >= 0) sum += probability * below[Math.min(most, below.length - 1)]!;
  }
  return sum;
}

/** Probabilities of 0, 1, 2, ... */
function poisson(rate: number): Float64Array {
  const values = new Float64Array(Math.ceil(rate + TAIL * Math.sqrt(rate) + ROOM));
  let logarithm = -rate;
  for (let n = 0; n < values.length; n++) {
    values[n] = rate === 0 ? Number(n === 0) : Math.exp(logarithm);
    logarithm += Math.log(rate / (n + 1));
  }
  return values;
}
