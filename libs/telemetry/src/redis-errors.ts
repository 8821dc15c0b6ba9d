/** What a process tells of errors of its connections to Redis: all are counted, few are logged. */
import type { Counter } from 'prom-client';
import { logRarely } from './log-rarely.js';
import type { Logger } from './logger.js';

/** A listener that counts each error and logs `redis.error` at most once in 30 s. `clock` is in ms. */
export function listenToRedisErrors(counter: Counter, logger: Logger, clock: () => number): (error: Error) => void {
  const log = logRarely(logger, 'redis.error', clock);
  return (error) => {
    counter.inc();
    log(error);
  };
}
