/** Requirement D: how much of what a model computes is padding, before and after length sorting. */
import { readSums } from './worker-metrics.js';

/** Counters of a worker. */
export interface TokenCounts {
  readonly tokens: number;
  readonly padding: number;
  readonly batches: number;
}

export interface BatchLimits {
  readonly maxBatchSize: number;
  readonly maxBatchTokens: number;
}

/** Sums over all models. */
export async function readCounts(metricsUrl: string): Promise<TokenCounts> {
  const sums = await readSums(metricsUrl, [
    'shoal_tokens_total',
    'shoal_padding_tokens_total',
    'shoal_executions_total',
  ]);
  return {
    tokens: sums.shoal_tokens_total,
    padding: sums.shoal_padding_tokens_total,
    batches: sums.shoal_executions_total,
  };
}

/** Share of the tokens between two readings that was padding, 0 to 1. */
export function paddedShareBetween(before: TokenCounts, after: TokenCounts): number {
  const padding = after.padding - before.padding;
  return padding / (padding + after.tokens - before.tokens);
}

/** The share if texts were batched in the order they came, under the same limits. */
export function paddedShareInOrder(lengths: readonly number[], { maxBatchSize, maxBatchTokens }: BatchLimits): number {
  let padded = 0;
  let size = 0;
  let longest = 0;
  for (const length of lengths) {
    const grown = Math.max(longest, length);
    if (size > 0 && (size === maxBatchSize || (size + 1) * grown > maxBatchTokens)) {
      padded += size * longest;
      size = 0;
      longest = 0;
    }
    size++;
    longest = Math.max(longest, length);
  }
  padded += size * longest;
  return 1 - lengths.reduce((sum, length) => sum + length, 0) / padded;
}
