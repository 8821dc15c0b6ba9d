/** Speeds that can be compared: variants take turns, so that whatever else the machine does hits them alike. */

const ROUNDS = 5;

/**
 * The median rate of each variant over five rounds, after one that does not count. `runs` do the work and say how much of
 * it there was; `now` is in ms.
 */
export async function ratesSideBySide(
  runs: readonly (() => Promise<number>)[],
  now: () => number,
): Promise<readonly number[]> {
  const rates: number[][] = runs.map(() => []);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [n, run] of runs.entries()) {
      const start = now();
      const done = await run();
      if (round > 0) rates[n]!.push((1000 * done) / (now() - start));
    }
  }
  return rates.map((all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]!);
}
