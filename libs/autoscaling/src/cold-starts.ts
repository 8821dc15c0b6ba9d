/** How long a new replica takes from its start until it works, as the latest ones did. */

/** Where no replica has told yet. */
export const DEFAULT_COLD_START_SECONDS = 20;
const PERCENTILE = 0.95;

/** The 95th percentile (nearest rank) of the latest cold starts in seconds; of fewer than 20 that is the longest. */
export function coldStartSeconds(latest: readonly number[]): number {
  const known = latest.filter((seconds) => Number.isFinite(seconds) && seconds > 0).sort((a, b) => a - b);
  return known[Math.ceil(PERCENTILE * known.length) - 1] ?? DEFAULT_COLD_START_SECONDS;
}
