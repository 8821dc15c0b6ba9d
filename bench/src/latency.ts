/** Requirement C: latency of single jobs that arrive at random (open loop: arrivals do not wait for answers). */

/**
 * Sends `task(n)` at Poisson arrivals of `perSecond` for `seconds`. Resolves to the latencies in ms, counted from the time
 * at which each was due, so that a late sender hides nothing.
 */
export async function openLoop(
  perSecond: number,
  seconds: number,
  random: () => number,
  task: (n: number) => Promise<void>,
): Promise<number[]> {
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  const started = performance.now();
  let due = 0;
  for (let n = 0; ; n++) {
    due += (-Math.log(1 - random()) / perSecond) * 1000;
    if (due > seconds * 1000) break;
    await waitUntil(started + due);
    const at = started + due;
    pending.push(
      task(n).then(() => {
        latencies.push(performance.now() - at);
      }),
    );
  }
  await Promise.all(pending);
  return latencies;
}

async function waitUntil(time: number): Promise<void> {
  const ms = time - performance.now();
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
