/** Losses beside their formulas in 64 bits, and their gradients beside differences of these. */
import { type Dim, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensors } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Shapes } from '../graph/shapes.js';
import { addOutput, emptyModel, floats, integers, randomFloats } from '../testing/graphs.js';
import { seededRandom } from '../trainer/random.js';
import { addLosses, type Loss, ROW_WEIGHTS } from './losses.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const [ROWS, WIDTH] = [6, 5];
const random = seededRandom(3);
const X = randomFloats(random, [ROWS, WIDTH], -3, 3);
const OTHER = randomFloats(random, [ROWS, WIDTH], -3, 3);
const LABELS = [0, 4, 2, 2, 1, 3];
/** The last row counts for nothing. */
const WEIGHTS = [0.3, 0.1, 0.2, 0.25, 0.15, 0];

type Row = readonly number[];
const rowsOf = (values: ArrayLike<number>): Row[] =>
  Array.from({ length: ROWS }, (_, row) => Array.from({ length: WIDTH }, (_, n) => values[row * WIDTH + n]!));
const sum = (values: Row) => values.reduce((all, value) => all + value, 0);
function softmax(row: Row, temperature = 1): Row {
  const powers = row.map((value) => Math.exp(value / temperature));
  return powers.map((power) => power / sum(powers));
}
const PROBABILITIES = rowsOf(OTHER).flatMap((row) => softmax(row));

/** The loss of one row, from its logits or vector, as papers have it. */
const FORMULAS: Readonly<Record<Loss['kind'], (x: Row, row: number) => number>> = {
  'cross-entropy': (x, row) => -Math.log(softmax(x)[LABELS[row]!]!),
  kl(x, row) {
    const [student, teacher] = [softmax(x, 2), softmax(rowsOf(OTHER)[row]!, 2)];
    return 4 * sum(teacher.map((share, n) => share * Math.log(share / student[n]!)));
  },
  'binary-cross-entropy': (x, row) =>
    sum(
      x.map((value, n) => {
        const [yes, wanted] = [1 / (1 + Math.exp(-value)), PROBABILITIES[row * WIDTH + n]!];
        return -wanted * Math.log(yes) - (1 - wanted) * Math.log(1 - yes);
      }),
    ) / WIDTH,
  'mean-square': (x, row) => sum(x.map((value, n) => (value - rowsOf(OTHER)[row]![n]!) ** 2)) / WIDTH,
  cosine(x, row) {
    const teacher = rowsOf(OTHER)[row]!;
    const length = (of: Row) => Math.sqrt(sum(of.map((value) => value * value)));
    return 1 - sum(x.map((value, n) => value * teacher[n]!)) / (length(x) * length(teacher));
  },
};

const TERMS: Readonly<Record<Loss['kind'], Loss>> = {
  'cross-entropy': { kind: 'cross-entropy', output: 'x', labels: 'labels' },
  kl: { kind: 'kl', output: 'x', teacher: 'probabilities', temperature: 2 },
  'binary-cross-entropy': { kind: 'binary-cross-entropy', output: 'x', teacher: 'probabilities' },
  'mean-square': { kind: 'mean-square', output: 'x', teacher: 'vectors' },
  cosine: { kind: 'cosine', output: 'x', teacher: 'vectors' },
};

const TARGETS: Tensors = {
  labels: integers([ROWS], LABELS),
  probabilities: floats([ROWS, WIDTH], PROBABILITIES),
  vectors: floats([ROWS, WIDTH], OTHER),
};

/** A graph whose output is its input, x, of these dimensions. */
function passing(dims: readonly Dim[]): { model: Model; shapes: Shapes } {
  const model = emptyModel();
  model.graph.inputs.push({ name: 'x', type: 'float32', shape: dims, extra: [] });
  addOutput(model, 'x');
  return { model, shapes: new Map([['x', { type: 'float32', shape: dims }]]) };
}

async function run(
  terms: readonly Loss[],
  dims: readonly number[] = [ROWS, WIDTH],
  targets: Tensors = TARGETS,
  x: Float32Array = X,
) {
  const { model, shapes } = passing(dims);
  const { loss, seeds } = addLosses(model, shapes, terms);
  const gradient = seeds.get('x')!;
  model.graph.outputs = [];
  addOutput(model, loss);
  addOutput(model, gradient);
  const session = await runtime.createSession(serialiseModel(model));
  try {
    const all: Tensors = { ...targets, x: floats(dims, x), [ROW_WEIGHTS]: floats([ROWS], WEIGHTS) };
    const feeds = Object.fromEntries(session.inputs.map(({ name }) => [name, all[name]!]));
    const { [loss]: value, [gradient]: slope } = await session.run(feeds);
    return { loss: (value!.data as Float32Array)[0]!, gradient: slope!.data as Float32Array, dims: slope!.dims };
  } finally {
    await session.release();
  }
}

type Weighted = readonly (readonly [share: number, kind: Loss['kind']])[];

function expected(terms: Weighted): { loss: number; gradient: number[] } {
  const at = (x: ArrayLike<number>) =>
    sum(rowsOf(x).map((row, n) => WEIGHTS[n]! * sum(terms.map(([share, kind]) => share * FORMULAS[kind](row, n)))));
  const gradient = Array.from(X, (_, n) => {
    const [up, down] = [Array.from(X), Array.from(X)];
    up[n]! += 1e-5;
    down[n]! -= 1e-5;
    return (at(up) - at(down)) / 2e-5;
  });
  return { loss: at(X), gradient };
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, n) => Math.abs(value - b[n]!)));
}

describe.each(Object.entries(TERMS))('%s', (kind, term) => {
  test('is what its formula says, and its gradient too', async () => {
    const wanted = expected([[1, kind as Loss['kind']]]);
    const got = await run([term]);
    expect(Math.abs(got.loss - wanted.loss)).toBeLessThan(2e-6);
    expect(difference(got.gradient, wanted.gradient)).toBeLessThan(2e-6);
    expect(got.gradient.slice(-WIDTH).every((value) => value === 0)).toBe(true);
  });
});

test('a mixture adds what its terms say, each by its share', async () => {
  const wanted = expected([
    [0.25, 'cross-entropy'],
    [0.75, 'kl'],
    [2, 'cosine'],
  ]);
  const got = await run([
    { ...TERMS['cross-entropy'], share: 0.25 },
    { ...TERMS.kl, share: 0.75 },
    { ...TERMS.cosine, share: 2 },
  ]);
  expect(Math.abs(got.loss - wanted.loss)).toBeLessThan(4e-6);
  expect(difference(got.gradient, wanted.gradient)).toBeLessThan(4e-6);
});

test('rows of an output for each token are its last dimension', async () => {
  const flat = await run([TERMS['cross-entropy']]);
  const deep = await run([TERMS['cross-entropy']], [2, 3, WIDTH]);
  expect(deep.dims).toEqual([2, 3, WIDTH]);
  expect(deep.loss).toBe(flat.loss);
  expect(deep.gradient).toEqual(flat.gradient);
});

test('a teacher that is sure of one class has a finite divergence', async () => {
  const sure = Array.from({ length: ROWS * WIDTH }, (_, n) => Number(n % WIDTH === 0));
  const targets = { ...TARGETS, probabilities: floats([ROWS, WIDTH], sure) };
  const { loss, gradient } = await run([TERMS.kl], [ROWS, WIDTH], targets);
  expect(Number.isFinite(loss)).toBe(true);
  expect(gradient.every(Number.isFinite)).toBe(true);
});

test('a yes or no that is far off has a finite loss, as large as it is far off', async () => {
  const far = X.map((_, n) => (n % 2 === 0 ? 200 : -200));
  const wanted = Array.from(far, (value) => Number(value < 0));
  const targets = { ...TARGETS, probabilities: floats([ROWS, WIDTH], wanted) };
  const { loss, gradient } = await run([TERMS['binary-cross-entropy']], [ROWS, WIDTH], targets, far);
  expect(loss).toBeCloseTo(200 * sum(WEIGHTS), 3);
  expect(gradient[0]).toBeCloseTo(WEIGHTS[0]! / WIDTH, 6);
});

test.each<[string, Loss[], string]>([
  ['no term', [], 'losses: there is none'],
  [
    'an output that is not there',
    [{ kind: 'cosine', output: 'y', teacher: 't' }],
    'losses[0].output: the graph has no output y',
  ],
  ['a share that is no number', [{ ...TERMS.kl, share: Number.NaN }], 'losses[0].share'],
  ['a temperature of 0', [{ kind: 'kl', output: 'x', teacher: 't', temperature: 0 }], 'a temperature of 0'],
  ['a target that is the model’s own input', [{ kind: 'cosine', output: 'x', teacher: 'x' }], 'an input x already'],
])('%s is refused', (_, terms, message) => {
  const { model, shapes } = passing(['batch', WIDTH]);
  expect(() => addLosses(model, shapes, terms)).toThrow(message);
});
