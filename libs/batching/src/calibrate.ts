/** Measures what a micro-batch costs on this machine, and derives its limits. */

export interface Measurement {
  /** Padded tokens of a micro-batch beyond which throughput hardly grows, or falls. */
  readonly maxBatchTokens: number;
  /** Fixed cost of a batch in tokens: what the best throughput does in the time of one short item, less its tokens. */
  readonly passTokens: number;
  /** Tokens per second at the best point. */
  readonly tokensPerSecond: number;
}

export interface CalibrateOptions {
  /** Runs one pass of `size` items of `length` tokens; resolves to the ms it took. */
  readonly pass: (size: number, length: number) => Promise<number>;
  readonly maxBatchSize: number;
  readonly maxLength: number;
  /** Ends the measurement early after this many ms of passes. */
  readonly budgetMs: number;
}

/**
 * What a micro-batch costs beside its forward pass, in ms of CPU time: fetching and claiming its chunks, two scripts, the
 * notification, in the worker and in Redis (docs/benchmarks.md). Small batches of small models are not worth it.
 */
const BATCH_OVERHEAD_MS = 8;
/** Throughput within this share of the best is as good: the smaller batch answers sooner. */
const GOOD_ENOUGH = 0.97;
/** A longer batch makes everything behind it wait for little gain. */
const MAX_BATCH_MS = 200;
const MAX_TOKENS = 32_768;
const REPEATS = 3;

/**
 * Passes of growing size at a short and a long length. On a GPU throughput grows for long; on a CPU the best batch of long
 * texts is small, because its activations no longer fit the caches.
 */
export async function calibrate(options: CalibrateOptions): Promise<Measurement> {
  const { pass, maxBatchSize, maxLength, budgetMs } = options;
  const long = Math.max(1, Math.min(maxLength, 128));
  const short = Math.max(1, Math.min(16, long));
  const points: { tokens: number; ms: number }[] = [];
  let spent = 0;
  const measure = async (size: number, length: number) => {
    const times: number[] = [];
    for (let n = 0; n < REPEATS; n++) {
      const ms = await pass(size, length);
      spent += ms;
      times.push(ms);
    }
    points.push({ tokens: size * length, ms: Math.min(...times) + BATCH_OVERHEAD_MS });
  };
  await pass(1, short);
  for (let size = 1; size <= maxBatchSize && size * long <= MAX_TOKENS && spent < budgetMs; size *= 2) {
    await measure(size, short);
    await measure(size, long);
  }
  const rate = (p: { tokens: number; ms: number }) => p.tokens / p.ms;
  const single = points[0]!;
  const quick = points.filter((p) => p.ms <= MAX_BATCH_MS);
  const candidates = quick.length > 0 ? quick : [single];
  const best = Math.max(...candidates.map(rate));
  const smallest = [...candidates].sort((a, b) => a.tokens - b.tokens).find((p) => rate(p) >= GOOD_ENOUGH * best)!;
  return {
    // A batch of the longest single input must fit whatever was measured.
    maxBatchTokens: Math.max(smallest.tokens, maxLength),
    passTokens: Math.max(1, Math.round(single.ms * best - single.tokens)),
    tokensPerSecond: Math.round(best * 1000),
  };
}
