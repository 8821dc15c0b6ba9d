/** What may follow a token, as a pass of the model tells it. */

/** How many of the likeliest tokens a pass names. */
export const CANDIDATES = 64;

export interface Candidates {
  /** The likeliest tokens, likeliest first, of equal ones the lower id first; and their logits. */
  readonly ids: BigInt64Array;
  readonly values: Float32Array;
  /** A logit less this is the logarithm of a probability. Undefined where it was not asked for. */
  readonly logSumExp: number | undefined;
  /** Of the whole vocabulary, where they were asked for. */
  readonly logits: Float32Array | undefined;
}
