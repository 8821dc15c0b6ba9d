/** What the specs of the guarantees share: an API on a Redis of its own, workers of one model, and calls to it. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobView } from '@shoal/contracts';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { startOwnRedis } from './own-redis.js';
import { ROOT, type Running, startApi, startWorker } from './processes.js';

export interface FleetOptions {
  readonly model: 'wordnet-topic' | 'wordnet-embed' | 'wordnet-lm';
  /** Bundled models that are served beside it, as they are. */
  readonly besides?: readonly string[];
  readonly redis?: Record<string, string>;
  /** Of a server that the test disturbs; one of the fleet's own where left out. */
  readonly redisUrl?: string;
  /** Of every process of the fleet. */
  readonly env?: Readonly<Record<string, string>>;
  readonly apiKeys?: string;
  /** Limits of micro-batches instead of those of the bundled model and this machine. */
  readonly limits?: Record<string, number>;
  /** Changes to the model's config.json. */
  readonly config?: Record<string, unknown>;
}

export interface Fleet {
  readonly model: string;
  readonly redis: Redis;
  /** `{shoal:<queue>}`, where all keys of the model's queue start. */
  readonly tag: string;
  readonly redisUrl: string;
  /** Of its workers. */
  readonly env: Readonly<Record<string, string>>;
  startApi(): Promise<Api>;
  startWorker(): Promise<Running>;
}

export interface Api {
  readonly url: string;
  readonly process: Running;
  post(path: string, body: unknown, key?: string): Promise<Response>;
  /** Submits inputs with one call; the ids, in order. */
  submitBulk(inputs: readonly unknown[], key?: string): Promise<string[]>;
  submit(input: unknown, key?: string): Promise<string>;
  /** The job when it has ended. */
  end(id: string, key?: string): Promise<JobView>;
}

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const redisUrl = options.redisUrl ?? (await startOwnRedis(options.redis));
  const redis = new Redis(redisUrl);
  redis.on('error', () => undefined);
  onTestFinished(() => redis.disconnect());
  const models = copyModel(options);
  const env = {
    SHOAL_MODELS_DIR: models,
    SHOAL_CACHE_DIR: join(models, '../cache'),
    SHOAL_INTRA_OP_THREADS: '1',
    ...options.env,
    ...(options.apiKeys && { SHOAL_API_KEYS: options.apiKeys }),
  };
  const { SHOAL_API_KEYS: _, ...workerEnv } = env;
  return {
    model: options.model,
    redis,
    redisUrl,
    env: workerEnv,
    tag: `{shoal:${options.model}.1.${options.model === 'wordnet-lm' ? 'int8' : 'fp32'}.0}`,
    async startApi() {
      const api = await startApi({ redisUrl, env: { ...env, SHOAL_METRICS_PORT: '0' } });
      onTestFinished(async () => void (await api.stop()));
      return callsTo(api, options.model);
    },
    async startWorker() {
      const worker = await startWorker({ redisUrl, env: workerEnv });
      onTestFinished(async () => void (await worker.stop()));
      return worker;
    },
  };
}

/** A model folder of the test's own. */
function copyModel({ model, besides = [], limits, config }: FleetOptions): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-models-'));
  for (const name of besides) cpSync(join(ROOT, 'models', name), join(dir, 'models', name), { recursive: true });
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const folder = join(dir, 'models', model, '1');
  cpSync(join(ROOT, 'models', model, '1'), folder, { recursive: true });
  for (const [file, changes] of [
    ['shoal.json', limits && { limits }],
    ['config.json', config],
  ] as const) {
    const path = join(folder, file);
    const before = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...before, ...changes }));
  }
  return join(dir, 'models');
}

function callsTo(api: Running & { readonly url: string }, model: string): Api {
  const { url } = api;
  const headers = (key?: string) => ({
    'content-type': 'application/json',
    ...(key && { authorization: `Bearer ${key}` }),
  });
  const post = (path: string, body: unknown, key?: string) =>
    fetch(`${url}${path}`, { method: 'POST', headers: headers(key), body: JSON.stringify(body) });
  return {
    url,
    process: api,
    post,
    async submitBulk(inputs, key) {
      const response = await post('/v1/jobs/bulk', { jobs: inputs.map((input) => ({ model, input })) }, key);
      expect(response.status).toBe(200);
      const { data } = (await response.json()) as { data: { job: { id: string } }[] };
      return data.map(({ job }) => job.id);
    },
    async submit(input, key) {
      const response = await post('/v1/jobs', { model, input }, key);
      expect(response.status).toBe(202);
      return ((await response.json()) as { id: string }).id;
    },
    async end(id, key) {
      for (;;) {
        const response = await fetch(`${url}/v1/jobs/${id}?wait=60`, { headers: headers(key) });
        expect(response.status).toBe(200);
        const job = (await response.json()) as JobView;
        if (job.ended_at !== null) return job;
      }
    },
  };
}

/** The sum of a metric over its labels, 0 where it has no value yet. */
export async function readMetric(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Results of `work` for each entry, `width` at a time. */
export async function inParallel<T, R>(width: number, entries: readonly T[], work: (entry: T) => Promise<R>) {
  const results: R[] = new Array(entries.length);
  const queue = entries.entries();
  const one = async () => {
    for (const [n, entry] of queue) results[n] = await work(entry);
  };
  await Promise.all(Array.from({ length: width }, one));
  return results;
}
