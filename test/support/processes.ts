/** The API and workers as real processes, each on ports of its own, for tests that talk to them over HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from '@shoal/tools/ports';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Longest time in ms from SIGTERM to SIGKILL: the worker's own limit is 25 s. */
const DEADLINE_MS = 30_000;

export interface StartOptions {
  readonly redisUrl: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of the script. */
  readonly args?: readonly string[];
}

export interface Running {
  readonly pid: number;
  /** Fields of the log line that told that it is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Where `/metrics` is. */
  readonly metricsUrl: string;
  /** All that it has printed so far. */
  output(): string;
  /** Resolves when it has ended: `exit code 0`, `SIGKILL`. */
  readonly exited: Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, SIGKILL at the deadline; resolves when it has ended. Safe to call again. */
  stop(): Promise<string>;
}

/** An API process that listens; `url` is its address. */
export async function startApi(options: StartOptions): Promise<Running & { readonly url: string }> {
  const port = await freePort();
  const running = await startApp('apps/api/dist/main.js', 'api.ready', {
    ...options,
    env: { ...options.env, PORT: String(port) },
  });
  return { ...running, url: `http://127.0.0.1:${port}` };
}

/** A worker process that has loaded its models and takes jobs. */
export function startWorker(options: StartOptions): Promise<Running> {
  return startApp('apps/worker/dist/start.cjs', 'worker.ready', options);
}

/** A process that delivers webhooks; `env` has its SHOAL_SECRET_KEY. */
export function startWebhooks(options: StartOptions): Promise<Running> {
  return startApp('apps/webhooks/dist/main.js', 'webhooks.ready', options);
}

/** Any script that prints a log line with the event `readyEvent` once it is ready. */
export async function startApp(
  script: string,
  readyEvent: string,
  { redisUrl, env, args = [] }: StartOptions,
): Promise<Running> {
  // The channel ends the process with this one, however this one ends.
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { ...foreignEnvironment(), REDIS_URL: redisUrl, SHOAL_METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const lines: string[] = [];
  const exited = once(child, 'close').then(([code, signal]) => (signal as string | null) ?? `exit code ${code}`);
  const ready = new Promise<Record<string, unknown>>((resolve) => {
    for (const input of [child.stdout!, child.stderr!]) {
      createInterface({ input }).on('line', (line) => {
        lines.push(line);
        if (line.includes(`"event":"${readyEvent}"`)) resolve(JSON.parse(line) as Record<string, unknown>);
      });
    }
  });
  const outcome = await Promise.race([ready, exited]);
  if (typeof outcome === 'string') throw new Error(`${script} ended (${outcome}):\n${lines.join('\n')}`);
  return {
    pid: child.pid!,
    ready: outcome,
    metricsUrl: String(outcome.metrics),
    output: () => lines.join('\n'),
    exited,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
      const how = await exited;
      clearTimeout(timer);
      return how;
    },
  };
}

/** The environment without what would configure Shoal. */
export function foreignEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(SHOAL_|REDIS_URL|PORT$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

/** Whether a process is gone. A dead one that nobody has collected yet counts as gone. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''));
  } catch {
    return true;
  }
}
