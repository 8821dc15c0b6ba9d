/**
 * How often the gate refuses a classifier that was damaged on purpose: wordnet-topic with noise on its weights, as much as costs half a
 * point, one and two of its accuracy on the 1,390 texts of its evaluation. These answers, of real graphs on real texts, stand for all
 * texts; samples of them are what a user has. Half of the loss is allowed.
 */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TextClassificationOutput } from '@shoal/contracts';
import { runRequest } from '@shoal/importer';
import { createModelFace, loadRunner, type Model, openModel, sessionModel } from '@shoal/models';
import { dataOf, loadModel, saveModel } from '@shoal/onnx';
import type { Runtime } from '@shoal/onnxruntime';
import { boundOf, judge, type Verdict } from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { type FigureRow, figureRow } from './report.js';
import { ROOT } from './root.js';

/** Points of a hundred. */
const DAMAGES = [0.5, 1, 2] as const;
/** Of noise on each tensor's weights, as shares of the root of their mean square. */
const NOISES = Array.from({ length: 16 }, (_, n) => 0.1 + 0.03 * n);
/** What a file of 1,390 texts leaves for the verdict, and what larger ones do. */
const TEXTS = [702, 4000, 16_000] as const;
const SAMPLES = 200;
const BATCH = 32;

interface Labelled {
  readonly text: string;
  readonly label: string;
}

export async function damageRows(runtime: Runtime, say: (line: string) => void): Promise<readonly FigureRow[]> {
  const file = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');
  const texts = (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Labelled);
  const folder = await mkdtemp(join(tmpdir(), 'shoal-damage-'));
  try {
    await cp(join(ROOT, 'models/wordnet-topic'), folder, { recursive: true });
    const model = (await openModel(folder))[0]!;
    const path = model.variants[model.variant]!;
    const before = await rightOf(runtime, model, texts);
    const graph = loadModel(path);
    const damaged: Int8Array[] = [];
    for (const [n, noise] of NOISES.entries()) {
      saveModel(withNoise(graph, noise, seededRandom(n + 1)), path);
      const after = await rightOf(runtime, model, texts);
      damaged.push(Int8Array.from(before, (right, at) => right - after[at]!));
      say(`gate: noise of ${noise.toFixed(2)} costs ${(100 * meanOf(damaged.at(-1)!)).toFixed(2)} points`);
    }
    return DAMAGES.flatMap((damage) => TEXTS.map((count) => refusals(nearest(damaged, damage / 100), damage, count)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Which texts get their label: 1 or 0. */
async function rightOf(runtime: Runtime, model: Model, texts: readonly Labelled[]): Promise<Int8Array> {
  const face = await createModelFace(model);
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
  const runner = loadRunner(model, session, { rows: 'any-length', reason: null });
  try {
    const right = new Int8Array(texts.length);
    for (let from = 0; from < texts.length; from += 2 * BATCH) {
      const some = texts.slice(from, from + 2 * BATCH);
      const request = { input: some.map(({ text }) => text), parameters: { top_k: 1, truncate: true } };
      const { encoded, outputs } = await runRequest(face, runner, request, BATCH);
      const { output } = face.present(
        encoded,
        outputs.map((one) => ({ output: one })),
      );
      for (const [n, scores] of [...(output as Iterable<TextClassificationOutput>)].entries()) {
        right[from + n] = Number(scores[0]!.label === some[n]!.label);
      }
    }
    return right;
  } finally {
    await runner.close();
  }
}

function withNoise(model: ReturnType<typeof loadModel>, noise: number, random: () => number) {
  const initializers = new Map(model.graph.initializers);
  for (const [name, { type, dims, data }] of initializers) {
    if (type !== 'float32' || dims.length === 0) continue;
    const values = new Float32Array(Uint8Array.from(data.bytes()).buffer);
    const size = noise * Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    initializers.set(name, { type, dims, data: dataOf(values.map((value) => value + 2 * size * (random() - 0.5))) });
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

function nearest(all: readonly Int8Array[], damage: number): Int8Array {
  return all.reduce((a, b) => (Math.abs(meanOf(b) - damage) < Math.abs(meanOf(a) - damage) ? b : a));
}

function refusals(losses: Int8Array, damage: number, count: number): FigureRow {
  const random = seededRandom(count);
  const real = meanOf(losses);
  const kinds = new Map<Verdict['kind'], number>();
  for (let sample = 0; sample < SAMPLES; sample++) {
    const drawn = Float64Array.from({ length: count }, () => losses[Math.floor(random() * losses.length)]!);
    const loss = { metric: 'accuracy' as const, ...boundOf(drawn, random), texts: count };
    const { kind } = judge({ loss, speeds: [], figures: {} }, { loss: real / 2 });
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const share = (kind: Verdict['kind']) => `${Math.round((100 * (kinds.get(kind) ?? 0)) / SAMPLES)} %`;
  const what = `${damage} points lost on purpose (${(100 * real).toFixed(2)}), half of it allowed, ${count.toLocaleString('en')} texts: worse ${share('worse')}, too few ${share('too_few')}, refused`;
  return figureRow('G', what, [(100 * (SAMPLES - (kinds.get('passed') ?? 0))) / SAMPLES], '%');
}

function meanOf(values: Int8Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
