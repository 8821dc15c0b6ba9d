/** The same command in a process whose pool of threads, which is sized once and before anything is loaded, has one for each pass. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { Environment } from '@shoal/config';
import type { Config } from './config.js';

/** For files and DNS beside the passes: as many as Node.js has by itself. */
const SPARE_THREADS = 4;

export function withPool({ environment }: Config): Environment {
  return { ...environment, UV_THREADPOOL_SIZE: String(availableParallelism() + SPARE_THREADS) };
}

/** Ends this process as the other one ends. */
export async function runAgain(env: Environment): Promise<never> {
  const child = spawn(process.execPath, process.argv.slice(1), { env, stdio: 'inherit' });
  // The terminal tells both of Ctrl-C; who asks this process alone to stop means the other.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (signal !== null) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  process.exit(code ?? 1);
}
