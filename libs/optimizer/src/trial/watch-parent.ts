/**
 * Ends the process of a trial with the one that started it. A thread of its own, since the main one may be in a loop or in native
 * code for minutes; nothing tells a process that its parent was killed, so it has to look.
 */
import { workerData } from 'node:worker_threads';

/** Interval in ms between two looks. */
const LOOK_MS = 250;

const parent = workerData as number;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, LOOK_MS);
