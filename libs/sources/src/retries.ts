/** Tries again what may pass, a bounded number of times. */
import type { PullContext } from './context.js';
import { PassingFault, unavailable } from './faults.js';

/** Ms before each further try, where the server names no time of its own. */
const PAUSES = [1000, 2000, 4000, 8000, 16_000];
const LONGEST_PAUSE_MS = 60_000;

/**
 * Resolves to what `attempt` does. `title` begins what is said. Tries are counted anew where `attempt` calls `progressed`:
 * a connection that breaks every few minutes gets a large file in the end.
 *
 * @throws ShoalError `source_unavailable` after six tries; the signal's reason; whatever else `attempt` throws
 */
export async function withRetries<T>(
  title: string,
  { say, signal, patience }: Pick<PullContext, 'say' | 'signal' | 'patience'>,
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  let failed = 0;
  for (;;) {
    try {
      return await attempt(() => {
        failed = 0;
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PassingFault)) throw error;
      const pause = PAUSES[failed++];
      if (pause === undefined) throw unavailable(`${title} ${error.message}; gave up after ${failed} tries.`, error);
      const ms = Math.min(error.retryAfterMs ?? pause, LONGEST_PAUSE_MS);
      say(`${title} ${error.message}; again in ${Math.ceil(ms / 1000)} s`);
      await patience.sleep(ms, signal).catch((reason: unknown) => {
        signal.throwIfAborted();
        throw reason;
      });
    }
  }
}
