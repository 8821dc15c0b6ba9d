/**
 * Ends a process whose parent is gone.
 *
 * `shoal start` opens an IPC channel to each process it starts. The kernel closes it however the parent ends, SIGKILL
 * included, so no process outlives its supervisor. Processes started otherwise have no channel, and nothing happens.
 */

/** Longest time in ms that a drain may take after the parent is gone. */
const GRACE_MS = 8000;

/**
 * Sends this process SIGTERM, so that it drains as it always does, when the parent that started it has ended. Call it
 * once the process handles SIGTERM; a parent that ended before counts too.
 */
export function exitWithParent(): void {
  // Undefined where the process was started without a channel.
  if (process.connected === undefined) return;
  if (!process.connected) {
    drain();
    return;
  }
  process.once('disconnect', drain);
  // The listener alone would keep the event loop alive after everything else has been closed.
  process.channel?.unref();
}

function drain(): void {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.exit(1), GRACE_MS).unref();
}
