/**
 * Ends the process of a trial with the one that started it, and where that may write no more. A thread of its own, since the main one
 * may be in a loop or in native code for minutes; nothing tells a process that its parent was killed, so it has to look.
 */
import { existsSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** Interval in ms between two looks. */
const LOOK_MS = 250;

/** `held`: a file that is there as long as the run may write, which a parent that was stopped does not see. */
const { parent, held } = workerData as { readonly parent: number; readonly held: string | undefined };
setInterval(() => {
  if (process.ppid !== parent || (held !== undefined && !existsSync(held))) process.kill(process.pid, 'SIGKILL');
}, LOOK_MS);
