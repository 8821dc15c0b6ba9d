/** Speeds that can be compared: variants take turns, and the best round of each is the one that nothing else slowed down. */

const ROUNDS = 9;

/**
 * The best rate of each variant over nine rounds, after one that does not count. `runs` do the work and say how much of it
 * there was; `now` is in ms. @throws the signal's reason
 */
export async function ratesSideBySide(
  runs: readonly (() => Promise<number>)[],
  now: () => number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const rates = runs.map(() => 0);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [n, run] of runs.entries()) {
      signal.throwIfAborted();
      const start = now();
      const done = await run();
      if (round > 0) rates[n] = Math.max(rates[n]!, (1000 * done) / (now() - start));
    }
  }
  return rates;
}
