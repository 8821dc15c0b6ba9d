/** An API and a worker that serve given graphs as `tensors`, and the same graphs run directly: what each item should give. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobView, Joining } from '@shoal/contracts';
import { openRuntime, type Session, type Tensor } from '@shoal/onnxruntime';
import { onTestFinished } from 'vitest';
import { startOwnRedis } from './own-redis.js';
import { type Running, startApi, startWorker } from './processes.js';

/** As a caller sends and gets them. */
export type Shown = Readonly<
  Record<
    string,
    { readonly type?: string; readonly shape: readonly number[]; readonly base64?: string; readonly data?: unknown }
  >
>;

export interface GraphFleet {
  readonly worker: Running;
  /** Submits inputs of one model as a job each, or as one job of all; the ids. */
  submit(model: string, inputs: readonly unknown[], key: string): Promise<string[]>;
  look(id: string, key: string): Promise<JobView>;
  end(id: string, key: string): Promise<JobView>;
  /** What the model's card says of joining. */
  joining(model: string, key: string): Promise<Joining | null>;
  /** Ends the processes; done at the end of the test anyway. */
  close(): Promise<void>;
}

export interface WorkerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** How it reaches Redis, where not straight: the URL of what is in between. */
  readonly through?: (redisUrl: string) => Promise<string>;
}

/** `graphs`: ONNX files by the name of the model. `keys`: of the tenants, each named as its key. */
export async function openGraphFleet(
  graphs: Readonly<Record<string, Uint8Array>>,
  keys: readonly string[],
  { env: workerEnv, through }: WorkerOptions = {},
): Promise<GraphFleet> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-graphs-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const [name, bytes] of Object.entries(graphs)) {
    mkdirSync(join(dir, 'models', name), { recursive: true });
    writeFileSync(join(dir, 'models', name, 'model.onnx'), bytes);
  }
  const redisUrl = await startOwnRedis();
  const env = {
    SHOAL_MODELS_DIR: join(dir, 'models'),
    SHOAL_CACHE_DIR: join(dir, 'cache'),
    SHOAL_INTRA_OP_THREADS: '1',
  };
  const SHOAL_API_KEYS = keys.map((key) => `${key}:${key}`).join();
  const api = await startApi({ redisUrl, env: { ...env, SHOAL_API_KEYS } });
  onTestFinished(async () => void (await api.stop()));
  const worker = await startWorker({
    redisUrl: (await through?.(redisUrl)) ?? redisUrl,
    env: { ...env, ...workerEnv },
  });
  onTestFinished(async () => void (await worker.stop()));
  const call = async (path: string, key: string, body?: unknown): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${api.url}${path}`, { headers, ...sent });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  };
  return {
    worker,
    async submit(model, inputs, key) {
      const parameters = { encoding: 'base64' };
      const { data } = await call('/v1/jobs/bulk', key, {
        jobs: inputs.map((input) => ({ model, input, parameters })),
      });
      return (data as { job?: { id: string } }[]).map((entry) => {
        if (entry.job === undefined) throw new Error(`${model}: ${JSON.stringify(entry)}`);
        return entry.job.id;
      });
    },
    look: async (id, key) => (await call(`/v1/jobs/${id}`, key)) as unknown as JobView,
    async end(id, key) {
      for (;;) {
        const job = (await call(`/v1/jobs/${id}?wait=60`, key)) as unknown as JobView;
        if (job.ended_at !== null) return job;
      }
    },
    joining: async (model, key) => (await call(`/v1/models/${model}`, key)).joining as Joining | null,
    close: async () => void (await Promise.all([worker.stop(), api.stop()])),
  };
}

/** Runs single items of one graph, without Shoal. */
export type Direct = Pick<Session, 'inputs' | 'run' | 'release'>;

export async function openDirect(graph: Uint8Array): Promise<Direct> {
  const runtime = await openRuntime();
  return await runtime.createSession(graph, { intraOpThreads: 1 });
}

/** A tensor as a caller sends it. */
export function shown({ type, dims, data }: Tensor): Shown[string] {
  if (Array.isArray(data)) return { type, shape: dims, data };
  return { type, shape: dims, base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') };
}
