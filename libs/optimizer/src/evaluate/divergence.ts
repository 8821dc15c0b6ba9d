/** How far apart two distributions of the next token are, position by position. */

/** A run of positions as one model sees them: [length, vocabulary] logits, and the logarithm of the sum of their exponentials. */
export interface Predictions {
  readonly logits: Float32Array;
  readonly logSumExp: Float32Array;
  readonly vocabulary: number;
}

/**
 * Kullback-Leibler divergence of the candidate from the original at one position, in nats: Σ p (ln p − ln q). 0 where both are
 * the same; rounding aside never less.
 */
export function divergenceAt(original: Predictions, candidate: Predictions, position: number): number {
  const sums = [original.logSumExp[position]!, candidate.logSumExp[position]!] as const;
  return divergence(rowOf(original, position), rowOf(candidate, position), sums);
}

/** The same of the probabilities that two rows of logits stand for; `sums`: the logarithms of the sums of their exponentials. */
export function divergence(
  p: Float32Array,
  q: Float32Array,
  [pSum, qSum]: readonly [number, number] = [logSumExpOf(p), logSumExpOf(q)],
): number {
  let sum = 0;
  for (let token = 0; token < p.length; token++) {
    const own = p[token]! - pSum;
    const probability = Math.exp(own);
    // Of tokens that never come the logarithm is no number.
    if (probability > 0) sum += probability * (own - q[token]! + qSum);
  }
  return Math.max(0, sum);
}

function logSumExpOf(logits: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let n = 0; n < logits.length; n++) if (logits[n]! > most) most = logits[n]!;
  let sum = 0;
  for (let n = 0; n < logits.length; n++) sum += Math.exp(logits[n]! - most);
  return most + Math.log(sum);
}

/** ln p of a token. */
export function logProbability(
  { logits, logSumExp, vocabulary }: Predictions,
  position: number,
  token: number,
): number {
  return logits[position * vocabulary + token]! - logSumExp[position]!;
}

function rowOf({ logits, vocabulary }: Predictions, position: number): Float32Array {
  return logits.subarray(position * vocabulary, (position + 1) * vocabulary);
}

/** `share` from 0 to 1, of values in order: the smallest that so many are not above. */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
