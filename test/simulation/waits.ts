/** How long jobs of a simulation waited, counted by whole seconds. */

/** Seconds that the share `p` of the jobs waited no longer than. `counts`: how many waited so many seconds; there may be gaps. */
export function waitOf(counts: readonly (number | undefined)[], p: number): number {
  const total = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  let before = 0;
  for (const [seconds, count = 0] of counts.entries()) {
    before += count;
    if (before > p * total) return seconds;
  }
  return 0;
}
