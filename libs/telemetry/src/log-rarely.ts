/** What the log is told while Redis is away: every connection reports each of its attempts, about one a second. */
import type { Logger } from './logger.js';

const QUIET_MS = 30_000;

/** A listener for errors that logs the first of them and then at most one in 30 s. `clock` is in ms. */
export function logRarely(logger: Logger, event: string, clock: () => number): (error: Error) => void {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (clock() < quietUntil) return;
    quietUntil = clock() + QUIET_MS;
    logger.warn(event, {}, error);
  };
}
