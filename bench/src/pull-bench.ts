/**
 * Requirement P: from `shoal import hf:…` beside a running `npm start` to the first answer of that model, in seconds by step.
 * The hub is on this machine, so what is measured is Shoal and the disk, not the network.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startHub } from '@shoal/sources/testing';
import { freePort } from '@shoal/tools/ports';
import { startProcess } from './processes.js';
import { type LlamaShape, makeCheckpoint } from './random-llama.js';
import { figureRow, type Section } from './report.js';
import { ROOT } from './root.js';

/** 49 M parameters: 98 MB in bfloat16. */
const SHAPE: LlamaShape = { layers: 16, width: 512, heads: 8, kvHeads: 4, inner: 1408, vocabulary: 4096 };
const REPO = 'bench/random-llama-49m';
const MODEL = 'random-llama-49m';

export interface PullOptions {
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** Steps in the order in which they end, each with what ends it. */
const STEPS = ['pulled', 'imported', 'listed by the API', 'answered'] as const;
type Times = Readonly<Record<(typeof STEPS)[number], number>>;

export async function pullBench({ rounds, say }: PullOptions): Promise<Section> {
  const folder = join(ROOT, '.shoal/bench/checkpoints', MODEL);
  makeCheckpoint(folder, SHAPE);
  const files = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  const hub = await startHub([{ repo: REPO, files }]);
  const all: Times[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const times = await measureOnce(hub.url);
      all.push(times);
      say(`pull: ${STEPS.map((step) => `${step} ${times[step].toFixed(1)} s`).join(', ')}`);
    }
  } finally {
    await hub.close();
  }
  const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
  return {
    ratios: [],
    figures: STEPS.map((step) =>
      figureRow(
        'P',
        `from shoal import of ${(bytes / 1e6).toFixed(0)} MB until it is ${step}`,
        all.map((times) => times[step]),
        's',
      ),
    ),
    notes: [
      'pull: the hub is on this machine; each round has a new data folder, so nothing is cached but the file system',
    ],
  };
}

async function measureOnce(hubUrl: string): Promise<Times> {
  const work = mkdtempSync(join(tmpdir(), 'shoal-pull-bench-'));
  const models = join(work, 'models');
  mkdirSync(models);
  cpSync(join(ROOT, 'models/wordnet-topic'), join(models, 'wordnet-topic'), { recursive: true });
  const port = await freePort();
  const env = {
    ...{ PORT: String(port), SHOAL_METRICS_PORT: '0', SHOAL_MODELS_DIR: models, SHOAL_DATA_DIR: join(work, 'data') },
    ...{ SHOAL_CACHE_DIR: join(ROOT, '.shoal/bench/cache'), HF_ENDPOINT: hubUrl },
  };
  const { running } = await startProcess({
    script: 'apps/cli/bin/shoal.mjs',
    args: ['start'],
    env,
    ready: 'Shoal is ready',
  });
  try {
    return await importAndAsk(`http://127.0.0.1:${port}`, models, env);
  } finally {
    await running.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

async function importAndAsk(origin: string, models: string, env: Readonly<Record<string, string>>): Promise<Times> {
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  const args = [join(ROOT, 'apps/cli/bin/shoal.mjs'), 'import', `hf:${REPO}`, '--to', models];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let [pulled, imported] = [Number.NaN, Number.NaN];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('Found ')) pulled = since();
    if (line.startsWith('Done: ')) imported = since();
  });
  const ended = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(`shoal import ended with ${code}`);
  });
  const answers = async () => {
    const listed = await until(since, () => isListed(origin));
    return { listed, answered: await until(since, () => answered(origin)) };
  };
  const [{ listed, answered: asked }] = await Promise.all([answers(), ended]);
  return { pulled, imported, 'listed by the API': listed, answered: asked };
}

async function until(since: () => number, holds: () => Promise<boolean>): Promise<number> {
  while (!(await holds())) await sleep(50);
  return since();
}

async function isListed(origin: string): Promise<boolean> {
  const response = await fetch(`${origin}/v1/models`);
  const { data } = (await response.json()) as { readonly data: readonly { readonly id: string }[] };
  return data.some(({ id }) => id === MODEL);
}

async function answered(origin: string): Promise<boolean> {
  const response = await fetch(`${origin}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, prompt: 'a small', max_tokens: 16, temperature: 0 }),
  });
  await response.text();
  return response.ok;
}
