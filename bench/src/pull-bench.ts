/**
 * Requirement P: from `shoal import hf:…` beside a running `npm start` to the first answer of that model, in seconds by step;
 * then what comes and goes under load, see swap-under-load.ts. The hub is on this machine, so what is measured is Shoal and
 * the disk, not the network.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startHub } from '@shoal/sources/testing';
import { configOf, type LlamaShape, makeCheckpoint } from './random-llama.js';
import { figureRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { ask, type Started, shoal, startAll, until } from './started.js';
import { type Swap, swapUnderLoad } from './swap-under-load.js';

/** 49 M parameters: 98 MB in bfloat16. */
const SHAPE: LlamaShape = { layers: 16, width: 512, heads: 8, kvHeads: 4, inner: 1408, vocabulary: 4096 };
const REPO = 'bench/random-llama-49m';
/** The same weights with other positions, so its answers are others. */
const SECOND = 'bench/random-llama-49m-second';
const MODEL = 'random-llama-49m';

export interface PullOptions {
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** Steps in the order in which they end, each with what ends it. */
const STEPS = ['pulled', 'imported', 'listed by the API', 'answered'] as const;
type Times = Readonly<Record<(typeof STEPS)[number], number>>;

/** In the order in which they are printed. */
const SWAP: readonly (readonly [field: keyof Swap, what: string, unit: string])[] = [
  ['takenOver', 'from shoal import of version 2 until the name is served by it, under load', 's'],
  ['canaryShare', 'of the jobs of an alias, share of the version that is to have 10 %', '%'],
  ['switched', 'from the change of an alias to all for version 2 until that is so', 's'],
  ['unloaded', 'from the wish to unload version 1 until no worker has it', 's'],
  ['givenBack', 'memory that came back then, to the size of its files', '×'],
  ['loaded', 'from the wish to load it again until a worker has it', 's'],
  ['removed', 'from deleting its folder until it is refused', 's'],
  ['jobs', 'jobs during all that', ''],
  ['failed', 'of these, failed or refused', ''],
  ['wrong', 'of these, run by another version than the one they were accepted for', ''],
];

export async function pullBench({ rounds, say }: PullOptions): Promise<Section> {
  const folder = join(ROOT, '.shoal/bench/checkpoints', MODEL);
  makeCheckpoint(folder, SHAPE);
  const files = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  const second = { ...files, 'config.json': Buffer.from(JSON.stringify({ ...configOf(SHAPE), rope_theta: 500 })) };
  const hub = await startHub([
    { repo: REPO, files },
    { repo: SECOND, files: second },
  ]);
  const all: (Times & Swap)[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const measured = await measureOnce(hub.url);
      all.push(measured);
      const fields = [...STEPS, ...SWAP.map(([field]) => field)];
      say(`pull: ${fields.map((field) => `${field} ${measured[field].toFixed(2)}`).join(', ')}`);
    }
  } finally {
    await hub.close();
  }
  const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
  const figure = (field: keyof Times | keyof Swap, what: string, unit: string) =>
    figureRow(
      'P',
      what,
      all.map((measured) => measured[field]),
      unit,
    );
  return {
    ratios: [],
    figures: [
      ...STEPS.map((step) =>
        figure(step, `from shoal import of ${(bytes / 1e6).toFixed(0)} MB until it is ${step}`, 's'),
      ),
      ...SWAP.map(([field, what, unit]) => figure(field, what, unit)),
    ],
    notes: [
      'pull: the hub is on this machine; each round has a new data folder, so nothing is cached but the file system',
    ],
  };
}

async function measureOnce(hubUrl: string): Promise<Times & Swap> {
  const started = await startAll(hubUrl);
  try {
    const times = await importAndAsk(started);
    return { ...times, ...(await swapUnderLoad(started, MODEL, `hf:${SECOND}`)) };
  } finally {
    await started.stop();
  }
}

async function importAndAsk(started: Started): Promise<Times> {
  const { origin, models } = started;
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  let [pulled, imported] = [Number.NaN, Number.NaN];
  const importing = shoal(started, ['import', `hf:${REPO}`, '--to', models], (line) => {
    if (line.startsWith('Found ')) pulled = since();
    if (line.startsWith('Done: ')) imported = since();
  });
  const answers = async () => {
    await until(() => isListed(origin));
    const listed = since();
    await until(() => answered(origin));
    return { listed, answered: since() };
  };
  const [{ listed, answered: asked }] = await Promise.all([answers(), importing]);
  return { pulled, imported, 'listed by the API': listed, answered: asked };
}

async function isListed(origin: string): Promise<boolean> {
  const { body } = await ask(origin, '/v1/models');
  return (body as { readonly data: readonly { readonly id: string }[] }).data.some(({ id }) => id === MODEL);
}

async function answered(origin: string): Promise<boolean> {
  const request = { model: MODEL, prompt: 'a small', max_tokens: 16, temperature: 0 };
  return (await ask(origin, '/v1/completions', request)).status === 200;
}
