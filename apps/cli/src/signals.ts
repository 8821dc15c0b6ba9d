/** What asks this process to stop: Ctrl-C, SIGTERM, the terminal's end, or the end of the npm that started it. */
import { constants } from 'node:os';
import { UserError } from '@shoal/tools/user-error';

/** What was asked for was stopped halfway. */
export class Interrupted extends UserError {
  /** As a shell tells it of a process that a signal has ended. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals, message: string) {
    super(message);
    this.exitCode = 128 + constants.signals[signal];
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does `work`, whose signal aborts with what `reasonOf` makes of the first signal. */
export async function untilSignal<T>(
  reasonOf: (signal: NodeJS.Signals) => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => stop.abort(reasonOf(signal));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/**
 * Time in ms in which a second signal counts as the first: npm passes on the Ctrl-C that the terminal has already sent
 * to everybody.
 */
const SAME_PRESS_MS = 1000;

/** How often in ms to look whether npm is still there: nothing tells a process that its parent was killed. */
const PARENT_POLL_MS = 500;

/** Resolves to 'stop' at the first signal; each later one calls `hurry`. */
export function onStopSignal(hurry: () => void, { startedByNpm }: { readonly startedByNpm: boolean }): Promise<'stop'> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = () => {
      first ??= performance.now();
      if (performance.now() - first > SAME_PRESS_MS) hurry();
      resolve('stop');
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
    if (!startedByNpm) return;
    const npm = process.ppid;
    setInterval(() => process.ppid !== npm && resolve('stop'), PARENT_POLL_MS).unref();
  });
}
