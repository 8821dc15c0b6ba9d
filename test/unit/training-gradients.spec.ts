/** Gradients of whole models that @shoal/importer builds: beside PyTorch's, and beside differences. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildModel, float32, openCheckpoint } from '@shoal/importer';
import { type Dim, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensor, type Tensors } from '@shoal/onnxruntime';
import {
  type Batch,
  type Loss,
  plainAttention,
  prepare,
  Trainer,
  textProbes,
  trainingGraph,
  weightNames,
} from '@shoal/training';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

const FIXTURES = join(ROOT, 'test/fixtures');

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const readJson = <T>(...path: string[]) => JSON.parse(readFileSync(join(FIXTURES, ...path), 'utf8')) as T;
const configOf = (name: string) => readJson<Record<string, unknown>>('checkpoints', name, 'config.json');

/** The graph of a checkpoint; of a language model that which reads whole texts, and not the one that is served. */
function build(name: string, weights = `checkpoints/${name}`): Model {
  const checkpoint = openCheckpoint(join(FIXTURES, weights));
  return buildModel({ config: configOf(name), checkpoint, precision: float32, whole: true });
}

const LENGTHS = [9, 3, 12, 7];
const WIDTH = 12;
const PLACES = LENGTHS.flatMap((length, row) =>
  Array.from({ length: WIDTH }, (_, column) => ({ length, row, column })),
);

/** Texts of these lengths, padded on the right; ids, types, labels and teachers by formulas that make_gradients.py has too. */
function texts(model: Model): Record<string, Tensor> {
  const grid = (of: (place: (typeof PLACES)[number]) => number): Tensor => ({
    type: 'int64',
    dims: [LENGTHS.length, WIDTH],
    data: BigInt64Array.from(PLACES, (place) => BigInt(of(place))),
  });
  const all: Tensors = {
    input_ids: grid(({ row, column }) => 3 + ((31 * row + 17 * column) % 250)),
    attention_mask: grid(({ length, column }) => Number(column < length)),
    token_type_ids: grid(({ column }) => column % 2),
  };
  return Object.fromEntries(model.graph.inputs.map(({ name }) => [name, all[name]!]));
}

/** Of these rows, by their numbers. */
function teacherOf(rows: readonly number[], classes: number): Tensor {
  const shares = rows.map((n) => {
    const powers = Array.from({ length: classes }, (_, k) => Math.exp(2 * Math.sin(1 + 7 * n + 3 * k)));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  });
  return { type: 'float32', dims: [rows.length, classes], data: Float32Array.from(shares.flat()) };
}

/** Vectors to come close to: not near 0, which norms keep everything equally far from. */
const wavesOf = (rows: number, width: number): Tensor => ({
  type: 'float32',
  dims: [rows, width],
  data: Float32Array.from({ length: rows * width }, (_, n) =>
    Math.sin(1 + 7 * Math.floor(n / width) + 3 * (n % width)),
  ),
});

const labelsOf = (rows: readonly number[], classes: number): Tensor => ({
  type: 'int64',
  dims: [rows.length],
  data: BigInt64Array.from(rows, (n) => BigInt((5 * n + 3) % classes)),
});

/** What is trained, ready for gradients. */
async function open(model: Model, losses: readonly Loss[]): Promise<Trainer> {
  const graph = await trainingGraph(runtime, model, {
    trainable: weightNames(model),
    probes: textProbes(model),
    losses,
  });
  expect(graph.unused).toEqual([]);
  const options = { steps: 1, learningRate: 1, examples: 1, batchSize: 1, seed: 1 };
  return await Trainer.open(runtime, graph, options, { intraOpThreads: 2 });
}

const HALF_AND_HALF: readonly Loss[] = [
  { kind: 'cross-entropy', output: 'logits', labels: 'labels', share: 0.5 },
  { kind: 'kl', output: 'logits', teacher: 'teacher', temperature: 2, share: 0.5 },
];
/** Numbers of texts, and of places that are no padding. */
const TEXTS = LENGTHS.map((_, n) => n);
const TOKENS = PLACES.flatMap(({ length, column }, n) => (column < length ? [n] : []));

interface Targets {
  readonly rows: number;
  /** 0 where padding is. */
  readonly weights: Float32Array;
}

/** Of an output: [batch, width], [tokens, width] without padding, or [batch, sequence, width]. */
function targetsOf([first, ...rest]: readonly Dim[]): Targets {
  if (rest.length === 2) {
    return { rows: PLACES.length, weights: Float32Array.from(PLACES, ({ length, column }) => Number(column < length)) };
  }
  const rows = first === 'batch' ? TEXTS.length : TOKENS.length;
  return { rows, weights: new Float32Array(rows).fill(1) };
}

const bitsOf = ({ gradients }: Awaited<ReturnType<Trainer['gradient']>>) =>
  [...gradients].map(([name, { data }]) => [name, Buffer.from(data.slice().buffer).toString('base64')]);

describe.each([
  { name: 'bert-classify', rows: TEXTS, classes: 4 },
  { name: 'llama-tied', rows: TOKENS, classes: 288 },
])('$name', ({ name, rows, classes }) => {
  test('has PyTorch’s gradient, tensor by tensor, and the same twice bit by bit on two threads', async () => {
    const model = build(name);
    const trainer = await open(model, HALF_AND_HALF);
    const targets = { labels: labelsOf(rows, classes), teacher: teacherOf(rows, classes) };
    const batches: Batch[] = [{ feeds: { ...texts(model), ...targets }, rows: rows.length }];
    const found = await trainer.gradient(batches);
    const { loss } = readJson<{ loss: number }>('gradients', name, 'loss.json');
    expect(Math.abs(found.loss / loss - 1)).toBeLessThan(1e-5);
    // A checkpoint whose tensors are the gradients becomes a graph whose constants are the gradients of constants.
    const { initializers } = prepare(build(name, `gradients/${name}`)).graph;
    const errors = [...found.gradients].map(([weight, { data }]) => {
      const wanted = new Float32Array(new Uint8Array(initializers.get(weight)!.data.bytes()).buffer);
      expect(wanted).toHaveLength(data.length);
      const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      return wanted.reduce((most, value, n) => Math.max(most, Math.abs(value - data[n]!)), 0) / scale;
    });
    expect(errors).toHaveLength(weightNames(model).length);
    expect(Math.max(...errors)).toBeLessThan(1e-5);
    const bits = bitsOf(found);
    expect(bitsOf(await trainer.gradient(batches))).toEqual(bits);
    await trainer.close();
  });
});

const ENCODERS = [
  ...['bert', 'bert-classify', 'roberta-tokens', 'distilbert-classify', 'electra-classify', 'albert-classify', 'mpnet'],
  ...['nomic-bert', 'gte-new', 'jina-bert-v2', 'modernbert-classify', 'deberta-v1', 'deberta-v3-classify'],
];
const DECODERS = ['llama-tied', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'phi3', 'olmo2', 'granite', 'smollm3'];

/** Farthest steps along a gradient: some models bend so much that shorter ones are needed, some so little that these show nothing. */
const STEPS = [0.05, 0.2, 0.0125];

/**
 * By how much the slope along a weight's gradient, of this length, differs from that length: of central differences of fourth
 * order, as a share, at the step that shows it best.
 */
async function closest(
  slope: Float32Array,
  length: number,
  data: Float32Array,
  value: number,
  loss: () => Promise<number>,
): Promise<number> {
  const before = data.slice();
  let best = Number.POSITIVE_INFINITY;
  for (const most of STEPS) {
    const step = Math.min(most, (0.02 * value) / length);
    const at = async (steps: number) => {
      for (let n = 0; n < data.length; n++) data[n] = before[n]! + (steps * step * slope[n]!) / length;
      return await loss();
    };
    const near = (await at(1)) - (await at(-1));
    const far = (await at(2)) - (await at(-2));
    best = Math.min(best, Math.abs((8 * near - far) / (12 * step) / length - 1));
    if (best < 2e-3) break;
  }
  data.set(before);
  return best;
}

describe('gradients of whole models are those that differences show', () => {
  test.each([...ENCODERS, ...DECODERS])('%s', async (name) => {
    const model = build(name);
    const [output] = model.graph.outputs;
    const shape = output!.shape!;
    const trainer = await open(model, [{ kind: 'mean-square', output: output!.name, teacher: 'teacher' }]);
    const { rows, weights } = targetsOf(shape);
    const teacher = wavesOf(rows, Number(shape.at(-1)));
    const batches: Batch[] = [{ feeds: { ...texts(model), teacher }, rows: weights }];
    const found = await trainer.gradient(batches);
    const all = [...found.gradients].map(([weight, { data }]) => ({ weight, slope: data.slice() }));
    const lengthOf = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    const loss = async () => (await trainer.gradient(batches)).loss;
    const whole = found.norm;
    let checked = 0;
    for (const { weight, slope } of all) {
      const length = lengthOf(slope);
      // Where it is next to nothing, differences in 32 bits show nothing.
      if (length < 0.05 * whole) continue;
      checked += 1;
      expect(await closest(slope, length, trainer.weights.get(weight)!.data, found.loss, loss), weight).toBeLessThan(
        5e-3,
      );
    }
    expect(checked).toBeGreaterThan(5);
    await trainer.close();
  });

  test('and a node that has no rule is named', async () => {
    const losses: Loss[] = [{ kind: 'cosine', output: 'last_hidden_state', teacher: 'teacher' }];
    await expect(open(build('deberta-v2-conv'), losses)).rejects.toThrow(/^node \S+ \(Conv\): no rule/);
  });
});

interface Case {
  readonly input_ids: readonly number[];
  readonly last_logits: readonly number[];
}

/** The logits of the last token of a text. */
async function lastLogits(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const row = (of: (id: number) => number): Tensor => ({
    type: 'int64',
    dims: [1, ids.length],
    data: BigInt64Array.from(ids, (id) => BigInt(of(id))),
  });
  const session = await runtime.createSession(serialiseModel(model));
  try {
    const { logits } = await session.run({ input_ids: row((id) => id), attention_mask: row(() => 1) });
    return (logits!.data as Float32Array).slice(-logits!.dims[1]!);
  } finally {
    await session.release();
  }
}

test.each(DECODERS)(
  '%s: whole texts in plain operators have the logits that PyTorch gives, and the served graph',
  async (name) => {
    const { cases } = readJson<{ cases: readonly Case[] }>('checkpoints', name, 'expected.json');
    const longest = cases.toSorted((a, b) => b.input_ids.length - a.input_ids.length)[0]!;
    const plain = build(name);
    plainAttention(plain);
    expect(plain.graph.nodes.some(({ op }) => op === 'GroupQueryAttention')).toBe(false);
    for (const model of [plain, build(name)]) {
      const logits = await lastLogits(model, longest.input_ids);
      const differences = longest.last_logits.map((value, n) => Math.abs(value - logits[n]!));
      expect(Math.max(...differences)).toBeLessThan(1e-4);
    }
  },
);
