/** The end of a process that was asked to end. */

export interface StopOptions {
  /** Ends what is open; resolves when nothing is left to do. */
  readonly stop: () => Promise<void>;
  /** Longest time in ms that `stop` may take before the process exits with 1. */
  readonly graceMs: number;
  /** Told of each stage, for the log. */
  readonly say: (stage: 'draining' | 'stopped' | 'stop_failed', error?: unknown) => void;
}

/** At the first SIGTERM or SIGINT the process stops and exits with 0; the second ends it at once. */
export function stopOnSignal({ stop, graceMs, say }: StopOptions): void {
  let stopping = false;
  const onSignal = () => {
    if (stopping) process.exit(1);
    stopping = true;
    say('draining');
    setTimeout(() => process.exit(1), graceMs).unref();
    stop().then(
      () => {
        say('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        say('stop_failed', error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
