// @ts-check
/** Runs a script of Node below this process, and ends it with this process. */
import { spawn } from 'node:child_process';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * Resolves to the exit code. A signal that comes meanwhile goes to the script and to all that it has started, which are a
 * process group of their own; once the script has ended, a UserError says so.
 *
 * @param {readonly string[]} args the script and its arguments, from the root of the repository
 * @param {Readonly<Record<string, string>>} [env] beside this process's own
 * @returns {Promise<number | null>}
 */
export function runNode(args, env = {}) {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  /** @type {NodeJS.Signals | undefined} */
  let stopped;
  /** @param {NodeJS.Signals} signal */
  const passOn = (signal) => {
    stopped = signal;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // All of it has ended.
    }
  };
  for (const signal of SIGNALS) process.on(signal, passOn);
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => {
      if (stopped === undefined) resolve(code);
      else reject(new UserError(`stopped by ${stopped}.`));
    });
  });
  return ended.finally(() => {
    for (const signal of SIGNALS) process.off(signal, passOn);
  });
}
