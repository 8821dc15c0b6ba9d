/** What asks this process to stop: Ctrl-C, SIGTERM, or the terminal's end. */

/**
 * Time in ms in which a second signal counts as the first: npm passes on the Ctrl-C that the terminal has already sent
 * to everybody.
 */
const SAME_PRESS_MS = 1000;

/** Resolves to 'stop' at the first signal; each later one calls `hurry`. */
export function onStopSignal(hurry: () => void): Promise<'stop'> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = () => {
      first ??= performance.now();
      if (performance.now() - first > SAME_PRESS_MS) hurry();
      resolve('stop');
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
