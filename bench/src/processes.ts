/** Processes of the contestants: each is started here, and ended by its id, also when the benchmark fails. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '@shoal/tools/ports';
import { type RedisServer, startRedis } from '@shoal/tools/redis';
import { ROOT } from './root.js';

const READY_MS = 60_000;
const DRAIN_MS = 10_000;

export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Same settings as `npm start`: append-only file, flushed every second. A directory of its own, removed at the end. */
export async function openRedis(name: string): Promise<RedisServer> {
  const dir = join(ROOT, `.shoal/bench/redis-${name}-${process.pid}`);
  const redis = await startRedis({ dir, persist: true });
  const stop = async () => {
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { ...redis, stop };
}

export interface StartOptions {
  /** Relative to the repository. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly nodeOptions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Part of the log line that tells that the process is ready. */
  readonly ready: string;
}

/** Resolves once the process has printed a line that contains `ready`. It ends with this process (IPC channel). */
export async function startProcess({ script, args = [], nodeOptions = [], env = {}, ready }: StartOptions) {
  const child = spawn(process.execPath, [...nodeOptions, join(ROOT, script), ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${script} was not ready in ${READY_MS / 1000} s`)), READY_MS);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      lines.push(line);
      if (!line.includes(ready)) return;
      clearTimeout(timer);
      resolve();
    });
    void ended.then(() => {
      clearTimeout(timer);
      reject(new Error(`${script} ended early:\n${lines.slice(-20).join('\n')}`));
    });
  }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return { child, lines, running: { pid: child.pid!, stop: () => stop(child, ended) } satisfies Running };
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS);
  await ended;
  clearTimeout(timer);
}

export interface Shoal {
  readonly origin: string;
  readonly workerMetrics: string;
  readonly pids: { readonly api: number; readonly worker: number; readonly redis: number };
  readonly redisUrl: string;
  /** What the worker has printed. */
  readonly workerLog: readonly string[];
  stop(): Promise<void>;
}

export interface ShoalOptions {
  readonly modelsDir: string;
  readonly models: readonly string[];
  readonly workerEnv?: Readonly<Record<string, string>>;
  readonly apiEnv?: Readonly<Record<string, string>>;
  readonly profileDir?: string;
}

/** Redis, one API, one worker, as `npm start` sets them up with one worker. */
export async function startShoal({
  modelsDir,
  models,
  workerEnv = {},
  apiEnv = {},
  profileDir,
}: ShoalOptions): Promise<Shoal> {
  const redis = await openRedis('shoal');
  const stops: (() => Promise<void>)[] = [() => redis.stop()];
  const stopAll = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const [port, apiMetrics, workerMetrics] = [await freePort(), await freePort(), await freePort()];
    const common = {
      REDIS_URL: redis.url,
      SHOAL_MODELS_DIR: modelsDir,
      SHOAL_CACHE_DIR: join(ROOT, '.shoal/bench/cache'),
      SHOAL_LOG_LEVEL: 'info',
    };
    const nodeOptions = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`] : [];
    const api = await startProcess({
      script: 'apps/api/dist/main.js',
      nodeOptions,
      env: { ...common, PORT: String(port), SHOAL_METRICS_PORT: String(apiMetrics), ...apiEnv },
      ready: 'api.ready',
    });
    stops.push(() => api.running.stop());
    const worker = await startProcess({
      script: 'apps/worker/dist/start.cjs',
      nodeOptions,
      env: { ...common, SHOAL_MODELS: models.join(','), SHOAL_METRICS_PORT: String(workerMetrics), ...workerEnv },
      ready: 'worker.ready',
    });
    stops.push(() => worker.running.stop());
    return {
      origin: `http://127.0.0.1:${port}`,
      workerMetrics: `http://127.0.0.1:${workerMetrics}/metrics`,
      pids: { api: api.running.pid, worker: worker.running.pid, redis: redis.pid },
      redisUrl: redis.url,
      workerLog: worker.lines,
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
