/** Waiting for what may never come: ioredis settles no command of a connection that is closed while it reconnects. */

/** Longest time in ms that closing takes once nothing is being sent any more. */
export const CLOSE_MS = 2000;

/** Resolves when `promise` does, or after `ms`. */
export async function waitAtMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
