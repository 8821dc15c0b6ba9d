/** When a message that was not delivered is tried again. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Ms after the attempt before; the first entry is the pause before the first attempt. 75 h 35 min 5 s in all. */
export const DEFAULT_SCHEDULE: readonly number[] = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** An endpoint that only failed for this long is disabled (Svix: five days). */
export const DISABLE_AFTER_MS = 120 * HOUR;

const JITTER = 0.2;
/** A receiver that is overloaded gets this long, or as long as the schedule ever waits where that is less. */
const THROTTLED_MS = MINUTE;

export interface Failure {
  /** The attempt timed out or was answered 429. */
  readonly throttled: boolean;
  /** From the Retry-After header. */
  readonly retryAfterMs: number | null;
}

/**
 * Ms until the next attempt after `attempts` have failed, the last one with `failure`; null where none is left.
 * `random` is in [0, 1).
 */
export function nextPause(
  schedule: readonly number[],
  attempts: number,
  { throttled, retryAfterMs }: Failure,
  random: () => number,
): number | null {
  const scheduled = schedule[attempts];
  if (scheduled === undefined) return null;
  const least = throttled ? Math.min(THROTTLED_MS, Math.max(...schedule)) : 0;
  const base = Math.max(scheduled, least);
  if (retryAfterMs !== null) return Math.min(Math.max(retryAfterMs, base), 2 * base);
  return Math.max(least, Math.round(base * (1 - JITTER + 2 * JITTER * random())));
}

/** Ms from a Retry-After header: seconds or an HTTP date; null where it is neither. `now` is in Unix ms. */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header) * SECOND;
  // Else Date.parse would make a date of many things.
  const date = / GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
