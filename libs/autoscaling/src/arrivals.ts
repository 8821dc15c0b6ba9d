/**
 * Tokens a second that arrive: each token counts 1/60 when it comes and fades with a time constant of a minute, so that the
 * sum is the mean rate of about the last minute. Two numbers hold all of it. libs/queue/lua/admit.lua does the same sum in
 * Redis, with Redis's clock.
 */

export interface Arrivals {
  /** Tokens a second, as of `at`. */
  readonly rate: number;
  /** Unix ms of the last arrival. */
  readonly at: number;
}

const FADE_SECONDS = 60;

/** After `tokens` have arrived at `now` (Unix ms); `before` is null where nothing ever did. */
export function addArrivals(before: Arrivals | null, tokens: number, now: number): Arrivals {
  const rate = before === null ? 0 : arrivalRateAt(before, now);
  return { rate: rate + tokens / FADE_SECONDS, at: now };
}

/** The rate at `now` (Unix ms): without arrivals it fades. A clock that went back counts as standing still. */
export function arrivalRateAt({ rate, at }: Arrivals, now: number): number {
  return rate * Math.exp(-Math.max(0, now - at) / 1000 / FADE_SECONDS);
}
