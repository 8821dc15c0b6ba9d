/** An API and a worker that follow a folder of models, for tests in which that changes. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JobView } from '@shoal/contracts';
import { dataOf, GraphBuilder, serialiseModel } from '@shoal/onnx';
import { expect, inject, onTestFinished } from 'vitest';
import { foreignEnvironment, ROOT, startApi, startWorker } from './processes.js';

export const POLL = { timeout: 60_000, interval: 100 };

export interface Rig {
  /** Of models. */
  readonly folder: string;
  /** A name that no other test's queues have. */
  readonly name: string;
  readonly url: string;
  readonly worker: Awaited<ReturnType<typeof startWorker>>;
  /** Puts the version in place with one rename. */
  add(version: string, name?: string): void;
  /** The same of a version that is this graph alone. */
  addGraph(version: string, graph: Uint8Array): void;
  /** Bytes of memory that the worker has. */
  resident(): number;
  submit(model: string, input?: unknown): Promise<Response>;
  /** Accepts jobs of 1,000 items each; what they come to. */
  accept(count: number): Promise<() => Promise<JobView[]>>;
  /** The job when it has ended. */
  run(model: string, input?: unknown): Promise<JobView>;
  loaded(): Promise<string[]>;
  startWorker(env?: Readonly<Record<string, string>>): ReturnType<typeof startWorker>;
  /** `shoal models <args>`, as it prints. */
  shoal(...args: string[]): Promise<string>;
}

/** With these versions of a text classifier. */
export async function openLive(versions: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const redisUrl = inject('redisUrl');
  const root = mkdtempSync(join(tmpdir(), 'shoal-live-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'models');
  mkdirSync(folder);
  const own = `live-${process.pid}-${Math.floor(performance.now())}`;
  const put = (version: string, name: string, fill: (draft: string) => void) => {
    const draft = join(root, `draft-${name}-${version}`);
    fill(draft);
    mkdirSync(join(folder, name), { recursive: true });
    renameSync(draft, join(folder, name, version));
  };
  const add = (version: string, name = own) =>
    put(version, name, (draft) => cpSync(join(ROOT, 'models/wordnet-topic/1'), draft, { recursive: true }));
  for (const version of versions) add(version);
  const all = { SHOAL_MODELS_DIR: folder, SHOAL_CACHE_DIR: join(root, 'cache'), ...env };
  const [api, worker] = await Promise.all([startApi({ redisUrl, env: all }), startWorker({ redisUrl, env: all })]);
  onTestFinished(async () => void (await Promise.all([api.stop(), worker.stop()])));
  const submit = (model: string, input: unknown = 'a small knob', wait = 60) =>
    fetch(`${api.url}/v1/jobs?wait=${wait}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, input }),
    });
  return {
    ...{ folder, name: own, url: api.url, worker, add, submit },
    addGraph: (version, graph) =>
      put(version, own, (draft) => {
        mkdirSync(draft);
        writeFileSync(join(draft, 'model.onnx'), graph);
      }),
    resident: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8'))![1]) * 1024,
    async accept(count) {
      const input = Array.from({ length: 1000 }, (_, n) => `a small knob ${n}`);
      const answers = await Promise.all(Array.from({ length: count }, () => submit(own, input, 0)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
      const ids = await Promise.all(answers.map(async (answer) => ((await answer.json()) as JobView).id));
      return () =>
        Promise.all(ids.map(async (id) => (await (await fetch(`${api.url}/v1/jobs/${id}?wait=60`)).json()) as JobView));
    },
    async run(model, input) {
      const response = await submit(model, input);
      expect([response.status, response.status < 300 ? '' : await response.clone().text()]).toEqual([200, '']);
      return (await response.json()) as JobView;
    },
    async loaded() {
      const metrics = await (await fetch(worker.metricsUrl)).text();
      return [...metrics.matchAll(/^shoal_model_info\{model="([^"]+)",version="(\d+)",variant="([^"]+)"/gm)]
        .map(([, name, version, variant]) => `${name}@${version}:${variant}`)
        .sort();
    },
    async startWorker(more = {}) {
      const another = await startWorker({ redisUrl, env: { ...all, ...more } });
      onTestFinished(async () => void (await another.stop()));
      return another;
    },
    async shoal(...args) {
      const { stdout } = await promisify(execFile)(process.execPath, ['apps/cli/dist/main.js', 'models', ...args], {
        cwd: ROOT,
        env: { ...foreignEnvironment(), SHOAL_MODELS_DIR: folder, PORT: new URL(api.url).port },
      });
      return stdout;
    },
  };
}

/** One product with a matrix of `side` times `side` numbers, each of them `value`. */
export function productGraph(side: number, value: number): Uint8Array {
  const g = new GraphBuilder({ name: 'product', opset: 17, irVersion: 8 });
  const x = g.input('x', 'float32', ['rows', side]);
  const weights = g.constant('w', 'float32', [side, side], dataOf(new Float32Array(side * side).fill(value)));
  g.output('y', g.op('MatMul', [x, weights]), 'float32', ['rows', side]);
  return serialiseModel(g.build());
}
