/** When a retryable failure is tried again. */

const DELAYS_MS = [1000, 5000];

/**
 * Pause in ms before the next attempt of an item that has failed `attempts` times before this failure, up to 20 % longer
 * so that items of one failed batch do not return all at once; null where it has been tried often enough.
 */
export function retryAfterMs(attempts: number, random: () => number): number | null {
  const delay = DELAYS_MS[attempts];
  return delay === undefined ? null : Math.round(delay * (1 + 0.2 * random()));
}
