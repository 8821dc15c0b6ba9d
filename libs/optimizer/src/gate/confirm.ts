/** Whether what seems faster still is with sessions that were made anew. */
import type { SpeedRatio } from '@shoal/contracts';
import { LEAST_GAIN } from './judge.js';

/**
 * Where weights come to lie in memory makes a model differ from itself for as long as its session lives: by a per cent on a quiet machine,
 * and by ten where many programs share its caches. No number of rounds sees that. So what is sure to be faster at some shape is timed
 * once more by `again`, with sessions that were made in the other order, where each is in the other's place; then the
 * intervals hold both, and what is below the least gain in one of the two is not sure.
 */
export async function confirmed(
  first: readonly SpeedRatio[],
  again: () => Promise<readonly SpeedRatio[]>,
): Promise<readonly SpeedRatio[]> {
  if (!first.some(({ low }) => low > LEAST_GAIN)) return first;
  const second = await again();
  return first.map((own, n) => {
    const { ratio, low, high } = second[n]!;
    return {
      ...own,
      ratio: Math.sqrt(own.ratio * ratio),
      low: Math.min(own.low, low),
      high: Math.max(own.high, high),
    };
  });
}
