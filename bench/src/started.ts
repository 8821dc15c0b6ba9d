/** `npm start` with a data folder and a folder of models of its own, what is asked of it, and `shoal` beside it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@shoal/tools/ports';
import { startProcess } from './processes.js';
import { ROOT } from './root.js';

const CLI = 'apps/cli/bin/shoal.mjs';

export interface Started {
  readonly origin: string;
  /** The folder that is served. */
  readonly models: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of `shoal start`, whose children the others are. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** Has wordnet-topic to serve, and pulls from `hubUrl`. */
export async function startAll(hubUrl: string): Promise<Started> {
  const work = mkdtempSync(join(tmpdir(), 'shoal-pull-bench-'));
  const models = join(work, 'models');
  mkdirSync(models);
  cpSync(join(ROOT, 'models/wordnet-topic'), join(models, 'wordnet-topic'), { recursive: true });
  const port = await freePort();
  const env = {
    ...{ PORT: String(port), SHOAL_METRICS_PORT: '0', SHOAL_MODELS_DIR: models, SHOAL_DATA_DIR: join(work, 'data') },
    ...{ SHOAL_CACHE_DIR: join(ROOT, '.shoal/bench/cache'), HF_ENDPOINT: hubUrl },
  };
  const { running } = await startProcess({ script: CLI, args: ['start'], env, ready: 'Shoal is ready' });
  return {
    ...{ origin: `http://127.0.0.1:${port}`, models, env, pid: running.pid },
    async stop() {
      await running.stop();
      rmSync(work, { recursive: true, force: true });
    },
  };
}

/** Runs `shoal <args>`; `onLine` is told each line that it prints. */
export async function shoal(
  { env }: Started,
  args: readonly string[],
  onLine: (line: string) => void = () => undefined,
): Promise<void> {
  const child = spawn(process.execPath, [join(ROOT, CLI), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', onLine);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`shoal ${args.join(' ')} ended with ${code}`);
}

/** A GET, or the POST of `body`. */
export async function ask(
  origin: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${origin}${path}`, body === undefined ? {} : post);
  return { status: response.status, body: await response.json() };
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(50);
}

export async function seconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
