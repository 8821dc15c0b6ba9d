/** Looking again and again: what time alone must do. */

/**
 * Runs `task` every `ms`, each time `ms` after the last one has ended; what it throws goes to `onError`, and the next round
 * comes all the same. Keeps no process alive. The returned function ends it and resolves when a round under way has ended.
 */
export function repeat(ms: number, task: () => Promise<void>, onError: (error: Error) => void): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round = Promise.resolve();
  const schedule = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      round = task().catch(onError).then(schedule);
    }, ms);
    timer.unref();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
    return round;
  };
}
