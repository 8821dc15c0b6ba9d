/** The end of a process that was asked to end. */

export interface StopOptions {
  /** Opens what the process needs; resolves to what ends it again, which resolves when nothing is left to do. */
  readonly start: () => Promise<() => Promise<void>>;
  /** Longest time in ms that the end may take before the process exits with 1. */
  readonly graceMs: number;
  /** Told of each stage, for the log. */
  readonly say: (stage: 'draining' | 'stopped' | 'stop_failed', error?: unknown) => void;
}

/**
 * Starts. At the first SIGTERM or SIGINT the process stops and exits with 0; the second ends it at once. One that comes during
 * the start ends it at once too, since nothing was promised yet: the first process of a container hears no signal that it does
 * not listen for.
 */
export async function stopOnSignal({ start, graceMs, say }: StopOptions): Promise<void> {
  let stop: (() => Promise<void>) | undefined;
  let stopping = false;
  const onSignal = () => {
    if (stopping) process.exit(1);
    if (stop === undefined) process.exit(0);
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
  stop = await start();
}
