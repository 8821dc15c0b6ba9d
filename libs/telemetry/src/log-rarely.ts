/** What the log is told of troubles that come in numbers: while Redis is away every connection reports each attempt. */
import type { Logger } from './logger.js';

const QUIET_MS = 30_000;

/** True when it is asked for the first time, and then at most once in 30 s. `clock` is in ms. */
export function rarely(clock: () => number): () => boolean {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock() < quietUntil) return false;
    quietUntil = clock() + QUIET_MS;
    return true;
  };
}

/** A listener for errors that logs the first of them and then at most one in 30 s. `clock` is in ms. */
export function logRarely(logger: Logger, event: string, clock: () => number): (error: Error) => void {
  const now = rarely(clock);
  return (error) => {
    if (now()) logger.warn(event, {}, error);
  };
}
