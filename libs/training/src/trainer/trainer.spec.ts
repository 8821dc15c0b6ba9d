/** Training as a whole: it learns, batches may be split, and a run that was interrupted goes on as if it had not been. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataOf, GraphBuilder, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withWeights } from '../graph/with-weights.js';
import type { Loss } from '../losses/losses.js';
import { addOutput, emptyModel, floats, integers, randomFloats } from '../testing/graphs.js';
import type { TrainerOptions } from './options.js';
import { seededRandom } from './random.js';
import { train } from './train.js';
import { type Batch, Trainer } from './trainer.js';
import { type TrainingGraph, trainingGraph } from './training-graph.js';

const [INPUTS, HIDDEN, CLASSES, EXAMPLES] = [6, 8, 3, 60];
const WEIGHTS = ['up', 'up.bias', 'down', 'down.bias'];
const OPTIONS: TrainerOptions = {
  ...{ steps: 60, learningRate: 0.02, warmup: 5, examples: EXAMPLES, batchSize: 12, seed: 4 },
};
const LABELS: Loss = { kind: 'cross-entropy', output: 'logits', labels: 'labels' };

let runtime: Runtime;
let graph: TrainingGraph;
const folder = mkdtempSync(join(tmpdir(), 'shoal-training-'));
beforeAll(async () => {
  runtime = await openRuntime();
  graph = await prepared([LABELS]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A classifier of two layers, with weights that depend on the seed. */
function classifier(seed = 1): Model {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  const random = seededRandom(seed);
  const weight = (name: string, ...dims: number[]) =>
    g.constant(name, 'float32', dims, dataOf(randomFloats(random, dims, -0.5, 0.5)));
  const x = g.input('x', 'float32', ['batch', INPUTS]);
  const hidden = g.op('Gelu', [
    g.op('Add', [g.op('MatMul', [x, weight('up', INPUTS, HIDDEN)]), weight('up.bias', HIDDEN)]),
  ]);
  const logits = g.op('Add', [g.op('MatMul', [hidden, weight('down', HIDDEN, CLASSES)]), weight('down.bias', CLASSES)]);
  g.output('logits', logits, 'float32', ['batch', CLASSES]);
  return model;
}

const rows = (count: number) => ({ x: floats([count, INPUTS], new Float32Array(count * INPUTS)) });
const prepared = (losses: readonly Loss[], trainable = WEIGHTS) =>
  trainingGraph(runtime, classifier(), { trainable, probes: [rows(2), rows(3)], losses });

const POINTS = randomFloats(seededRandom(9), [EXAMPLES, INPUTS]);
const pointOf = (example: number) => POINTS.subarray(example * INPUTS, (example + 1) * INPUTS);
/** The largest of three sums of two numbers each: what there is to learn. */
function labelOf(example: number): number {
  const point = pointOf(example);
  const sums = [0, 2, 4].map((n) => point[n]! + point[n + 1]!);
  return sums.indexOf(Math.max(...sums));
}

function batchOf(examples: readonly number[]): Batch {
  const x = floats(
    [examples.length, INPUTS],
    examples.flatMap((example) => [...pointOf(example)]),
  );
  return { feeds: { x, labels: integers([examples.length], examples.map(labelOf)) }, rows: examples.length };
}

async function open(options: Partial<TrainerOptions> = {}, of: TrainingGraph = graph): Promise<Trainer> {
  return await Trainer.open(runtime, of, { ...OPTIONS, ...options }, { intraOpThreads: 2 });
}

const numbersOf = (trainer: Trainer) => [...trainer.weights.values()].flatMap(({ data }) => [...data]);
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const difference = (a: readonly number[], b: readonly number[]) => largest(a.map((value, n) => value - b[n]!));

async function accuracyOf(model: Model): Promise<number> {
  const all = Array.from({ length: EXAMPLES }, (_, n) => n);
  const session = await runtime.createSession(serialiseModel(model));
  const { logits } = await session.run({ x: batchOf(all).feeds.x! });
  await session.release();
  const values = logits!.data as Float32Array;
  const right = all.filter((example) => {
    const own = [...values.subarray(example * CLASSES, (example + 1) * CLASSES)];
    return own.indexOf(Math.max(...own)) === labelOf(example);
  });
  return right.length / EXAMPLES;
}

test('learns from labels, and what it has learnt is in a model again', async () => {
  const trainer = await open({ steps: 150 });
  const losses: number[] = [];
  await train(trainer, { batch: batchOf, onStep: ({ loss }) => void losses.push(loss) });
  expect(losses).toHaveLength(150);
  expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
  const model = classifier();
  expect(await accuracyOf(model)).toBeLessThan(0.7);
  expect(await accuracyOf(withWeights(model, trainer.weights))).toBeGreaterThan(0.95);
  await trainer.close();
});

test('learns what a teacher says, without labels', async () => {
  const kl: Loss = { kind: 'kl', output: 'logits', teacher: 'teacher', temperature: 2 };
  const trainer = await open({ steps: 150 }, await prepared([kl]));
  const shares = (label: number) => [0, 1, 2].map((n) => (n === label ? 0.9 : 0.05));
  await train(trainer, {
    batch(examples) {
      const { feeds, rows } = batchOf(examples);
      const teacher = floats(
        [examples.length, CLASSES],
        examples.flatMap((example) => shares(labelOf(example))),
      );
      return { feeds: { x: feeds.x!, teacher }, rows };
    },
  });
  expect(await accuracyOf(withWeights(classifier(), trainer.weights))).toBeGreaterThan(0.95);
  await trainer.close();
});

test('says which weights the loss does not depend on, and trains those that were named only', async () => {
  const model = classifier();
  new GraphBuilder(model).constant('spare', 'float32', [2], dataOf(new Float32Array(2)));
  const probes = [rows(2), rows(3)] as const;
  const made = await trainingGraph(runtime, model, { trainable: ['down', 'spare'], probes, losses: [LABELS] });
  expect(made.unused).toEqual(['spare']);
  expect([...made.weights.keys()]).toEqual(['down']);
  expect(made.model.graph.initializers.has('up')).toBe(true);
});

test.each<[string, readonly string[], string]>([
  ['none', [], 'names no weights'],
  ['one that is not there', ['up', 'left'], 'no constant of 32-bit floats named left'],
  ['one twice', ['up', 'up'], 'names a weight twice'],
])('refuses trainable weights: %s', async (_, trainable, message) => {
  const error = await prepared([LABELS], [...trainable]).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'invalid_request', message: expect.stringContaining(message) });
});

test('weights whose gradients are one value get one each', async () => {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  const [a, b] = ['a', 'b'].map((name) => g.constant(name, 'float32', [2, 2], dataOf(Float32Array.of(1, 2, 3, 4))));
  const y = g.op('MatMul', [g.input('x', 'float32', ['batch', 2]), g.op('Add', [a!, b!])]);
  addOutput(model, y);
  const x = (count: number) => ({ x: floats([count, 2], new Float32Array(2 * count).fill(1)) });
  const made = await trainingGraph(runtime, model, {
    trainable: ['a', 'b'],
    probes: [x(2), x(3)],
    losses: [{ kind: 'mean-square', output: y, teacher: 'teacher' }],
  });
  const trainer = await open({}, made);
  const feeds = { ...x(2), teacher: floats([2, 2], [0, 0, 0, 0]) };
  const { gradients } = await trainer.gradient([{ feeds, rows: 2 }]);
  expect(gradients.get('a')!.data.every((value) => value > 0)).toBe(true);
  expect(gradients.get('a')).toEqual(gradients.get('b'));
  await trainer.close();
});

test('batches that are accumulated train as one, however rows are spread over them', async () => {
  // Where a gradient is nearly 0, its sign alone would decide with a smaller epsilon.
  const [whole, parts] = [
    await open({ batchSize: 12, epsilon: 1e-4 }),
    await open({ batchSize: 4, accumulate: 3, epsilon: 1e-4 }),
  ];
  for (let n = 0; n < 8; n++) {
    const [examples = []] = whole.next();
    expect(parts.next().flat()).toEqual(examples);
    const a = await whole.step([batchOf(examples)]);
    // Not in the sizes of `next`: 2, 3 and 7.
    const b = await parts.step([examples.slice(0, 2), examples.slice(2, 5), examples.slice(5)].map(batchOf));
    expect(b.loss).toBeCloseTo(a.loss, 5);
    expect(b.norm).toBeCloseTo(a.norm, 5);
  }
  expect(difference(numbersOf(whole), numbersOf(parts))).toBeLessThan(2e-5);
  for (const trainer of [whole, parts]) await trainer.close();
});

test('rows without weight count for nothing', async () => {
  const trainer = await open();
  const five = batchOf([1, 2, 3, 4, 5]);
  const three = await trainer.gradient([batchOf([1, 2, 3])]);
  const gradients = [...three.gradients.values()].map(({ data }) => [...data]);
  const weighted = await trainer.gradient([{ ...five, rows: Float32Array.of(2, 2, 2, 0, 0) }]);
  expect(weighted.loss).toBeCloseTo(three.loss, 6);
  for (const [n, { data }] of [...weighted.gradients.values()].entries()) {
    expect(difference([...data], gradients[n]!)).toBeLessThan(1e-6);
  }
  await trainer.close();
});

test('a gradient that is too long is shortened, and its length told as it was', async () => {
  // With so much added to the root, steps are as long as gradients, and not all of one length.
  const plain = { warmup: 0, weightDecay: 0, epsilon: 1e3, learningRate: 1e3 };
  const batch = batchOf([1, 2, 3]);
  const free = await open({ ...plain, clip: Number.POSITIVE_INFINITY });
  const start = numbersOf(free);
  const moved = (trainer: Trainer) => numbersOf(trainer).map((value, n) => value - start[n]!);
  const { norm } = await free.step([batch]);
  const held = await open({ ...plain, clip: norm / 4 });
  expect((await held.step([batch])).norm).toBe(norm);
  const [whole, quarter] = [moved(free), moved(held)];
  expect(largest(whole)).toBeGreaterThan(0.05);
  expect(
    difference(
      whole.map((value) => value / 4),
      quarter,
    ),
  ).toBeLessThan(1e-3 * largest(whole));
  for (const trainer of [free, held]) await trainer.close();
});

describe('a run that is interrupted', () => {
  const stateOf = (trainer: Trainer, name: string) => {
    trainer.save(join(folder, name));
    return readFileSync(join(folder, name));
  };

  test.each([1, 2])('and resumed equals one that was not, bit by bit (batches of a step: %i)', async (accumulate) => {
    const options = { steps: 23, accumulate, batchSize: 7, decay: 'cosine' } as const;
    const straight = await open(options);
    await train(straight, { batch: batchOf });
    const begun = await open(options);
    await train(begun, { batch: batchOf, until: 9 });
    begun.save(join(folder, 'begun'));
    await begun.close();
    const resumed = await open(options);
    resumed.load(join(folder, 'begun'));
    expect(resumed.steps).toBe(9);
    await train(resumed, { batch: batchOf });
    expect(stateOf(resumed, 'resumed').equals(stateOf(straight, 'straight'))).toBe(true);
    for (const trainer of [straight, resumed]) await trainer.close();
  });

  test('stops between two steps', async () => {
    const trainer = await open();
    const stop = new AbortController();
    const reason = new Error('enough');
    const run = train(trainer, {
      batch: batchOf,
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step === 3) stop.abort(reason);
      },
    });
    await expect(run).rejects.toBe(reason);
    expect(trainer.steps).toBe(3);
    await trainer.close();
  });

  test('is refused with other settings, another graph, or where its file is none', async () => {
    const trainer = await open();
    await trainer.step([batchOf([1, 2])]);
    const bytes = stateOf(trainer, 'state');
    const before = numbersOf(trainer);
    const other = await open({ learningRate: 0.5 });
    expect(() => other.load(join(folder, 'state'))).toThrow('learningRate 0.02, and this one has 0.5');
    const fewer = await open({}, await prepared([LABELS], ['down']));
    expect(() => fewer.load(join(folder, 'state'))).toThrow('is of a run with graph');
    writeFileSync(join(folder, 'short'), bytes);
    truncateSync(join(folder, 'short'), bytes.length - 4);
    expect(() => trainer.load(join(folder, 'short'))).toThrow('is not whole');
    writeFileSync(join(folder, 'text'), 'no state');
    expect(() => trainer.load(join(folder, 'text'))).toThrow('is not the state of a run');
    expect(() => trainer.load(join(folder, 'none'))).toThrow('cannot be read');
    expect(numbersOf(trainer)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    for (const one of [trainer, other, fewer]) await one.close();
  });
});

describe('where the loss is no number any more', () => {
  test('training stops, with the weights that were the last known to be good', async () => {
    const trainer = await open();
    await train(trainer, { batch: batchOf, until: 20 });
    const good = numbersOf(trainer);
    const kept = trainer.snapshot();
    await train(trainer, { batch: batchOf, until: 22 });
    expect(numbersOf(trainer)).not.toEqual(good);
    expect([...kept.values()].flatMap(({ data }) => [...data])).toEqual(good);
    const { feeds, rows } = batchOf([1, 2]);
    const broken = { ...feeds, x: floats([2, INPUTS], new Array(2 * INPUTS).fill(Number.NaN)) };
    const error = await trainer.step([{ feeds: broken, rows }]).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(
        /went astray at step 23: the loss is NaN.*back at step 20.*learningRate below 0\.02/,
      ),
    });
    expect(numbersOf(trainer)).toEqual(good);
    await expect(trainer.step([batchOf([1])])).rejects.toBe(error);
    expect(() => trainer.save(join(folder, 'astray'))).toThrow('went astray');
    await trainer.close();
  });

  test.each<[string, Batch[], string]>([
    ['no rows', [{ ...batchOf([1]), rows: 0 }], 'rows: their weights add up to 0'],
    ['more batches than a step has', [batchOf([1]), batchOf([2])], 'batches: 2 in place of 1'],
  ])('a step of %s is refused', async (_, batches, message) => {
    const trainer = await open();
    await expect(trainer.step(batches)).rejects.toThrow(message);
    await trainer.close();
  });

  test('no step is made beyond the last', async () => {
    const trainer = await open({ steps: 1, warmup: 0 });
    await trainer.step([batchOf([1])]);
    await expect(trainer.step([batchOf([1])])).rejects.toThrow('all 1 are done');
    await trainer.close();
  });
});
