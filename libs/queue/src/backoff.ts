/** How long to wait before Redis is asked again for what it has refused. */

const FIRST_MS = 50;
const MOST_MS = 2000;

/** Doubles from 50 ms to 2 s; `attempt` counts from 0. */
export function backoffMs(attempt: number): number {
  return Math.min(FIRST_MS * 2 ** Math.min(attempt, 10), MOST_MS);
}
