/** Whole graphs: what is refused, what has no gradient, and that nothing is lost on several threads. */
import { GraphBuilder, type Model, serialiseModel, type Value } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensors } from '@shoal/onnxruntime';
import { beforeAll, expect, test } from 'vitest';
import { learnShapes } from '../graph/shapes.js';
import { addOutput, emptyModel, floats, integers, randomFloats } from '../testing/graphs.js';
import { seededRandom } from '../trainer/random.js';
import { arrangementsOf } from './arrangements.js';
import { differentiate } from './differentiate.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

/** `y` is the output, which is differentiated by its inputs; its gradient is ones. */
async function gradientsOf(model: Model, y: Value, by: readonly string[], feeds: Tensors) {
  addOutput(model, y);
  const shapes = await learnShapes(runtime, model, [feeds, feeds]);
  const g = new GraphBuilder(model);
  const ones = g.within('seed', () => g.op('Exp', [g.op('Mul', [y, g.scalar(0)])]));
  return differentiate(model, { seeds: new Map([[y, ones]]), by, shapes });
}

function withInput(name = 'a', dims: readonly number[] = [3]) {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  g.input(name, 'float32', dims);
  const feeds = { [name]: floats(dims, randomFloats(seededRandom(1), dims)) };
  return { model, g, feeds };
}

test.each<[string, (g: GraphBuilder) => Value, string]>([
  [
    'an operator that is in no table',
    (g) => g.op('CumSum', ['a', g.scalar(0, 'int64')]),
    'node CumSum (CumSum): no rule',
  ],
  [
    'one of another domain',
    (g) => g.contrib('FastGelu', ['a'], 1)[0]!,
    'node FastGelu (com.microsoft.FastGelu): no rule',
  ],
  ['weights in integers', (g) => dequantised(g), 'node DequantizeLinear (DequantizeLinear): no rule'],
  [
    'steps of a slice',
    (g) => g.op('Slice', ['a', g.ints([0]), g.ints([3]), g.ints([0]), g.ints([2])]),
    'node Slice (Slice): no gradient with steps',
  ],
  [
    'floats of other than 32 bits',
    (g) => g.op('Cast', [g.op('Cast', ['a'], { to: 11 })], { to: 1 }),
    'is of type float64: gradients are made in 32-bit floats only',
  ],
])('refuses %s, naming node and operator', async (_, build, message) => {
  const { model, g, feeds } = withInput();
  const error = await gradientsOf(model, build(g), ['a'], feeds).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'model_invalid', message: expect.stringContaining(message) });
});

function dequantised(g: GraphBuilder): Value {
  const scale = g.scalar(0.1);
  const [rounded = ''] = g.ops('QuantizeLinear', ['a', scale], 1);
  return g.op('DequantizeLinear', [rounded, scale]);
}

test('gives nothing by what the output does not depend on in small steps', async () => {
  const { model, g, feeds } = withInput();
  g.input('b', 'float32', [3]);
  const larger = g.op('Cast', [g.op('Greater', ['b', g.scalar(0)])], { to: 1 });
  const found = await gradientsOf(model, g.op('Mul', ['a', larger]), ['a', 'b'], { ...feeds, b: feeds.a! });
  expect([...found.keys()]).toEqual(['a']);
});

test('goes through no node that is not on the way', async () => {
  const { model, g, feeds } = withInput();
  g.input('ids', 'int64', [3]);
  const unknown = g.op('CumSum', [g.op('Cast', ['ids'], { to: 1 }), g.scalar(0, 'int64')]);
  const found = await gradientsOf(model, g.op('Mul', ['a', unknown]), ['a'], {
    ...feeds,
    ids: integers([3], [1, 2, 3]),
  });
  expect([...found.keys()]).toEqual(['a']);
});

test('adds up rows that were read often, bit by bit alike on two threads', async () => {
  const { model, g } = withInput('table', [40, 16]);
  const random = seededRandom(5);
  const ids = Array.from({ length: 3000 }, () => Math.floor(40 * random() ** 2));
  g.input('slope', 'float32', [3000, 16]);
  const y = g.op('Mul', [g.op('Gather', ['table', g.ints(ids)]), 'slope']);
  const feeds = {
    table: floats([40, 16], randomFloats(random, [40, 16])),
    slope: floats([3000, 16], randomFloats(random, [3000, 16])),
  };
  const found = await gradientsOf(model, y, ['table'], feeds);
  const output = found.get('table')!;
  addOutput(model, output);
  const wanted = new Float64Array(40 * 16);
  for (const [row, id] of ids.entries()) {
    for (let n = 0; n < 16; n++) wanted[id * 16 + n]! += feeds.slope.data[row * 16 + n]!;
  }
  const bytes = serialiseModel(model);
  const answers = new Set<string>();
  for (const intraOpThreads of [1, 2]) {
    const session = await runtime.createSession(bytes, { intraOpThreads });
    for (let n = 0; n < 20; n++) {
      const { data } = (await session.run(feeds, { outputs: [output] }))[output]!;
      const values = data as Float32Array;
      answers.add(Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64'));
      expect(values.every((value, at) => Math.abs(value - wanted[at]!) < 1e-3)).toBe(true);
    }
    await session.release();
  }
  expect(answers.size).toBe(1);
});

/** Rows of tokens, two to a token, laid out by text and gathered back: as the importer's encoders do it. */
function unpadded(g: GraphBuilder, apart: boolean): Value {
  // What is not recognised as an arrangement goes the general way.
  const hidden = (x: Value) => (apart ? g.op('Add', [x, g.scalar(0, 'int64')]) : x);
  const flat = g.op('Reshape', ['mask', g.ints([-1])]);
  const places = hidden(g.op('Reshape', [g.op('NonZero', [flat]), g.ints([-1])]));
  const before = g.op('Sub', [g.op('CumSum', [flat, g.scalar(0, 'int64')]), g.scalar(1, 'int64')]);
  const tokens = hidden(g.op('Reshape', [before, g.op('Shape', ['mask'])]));
  const each = g.op('Reshape', ['a', g.ints([-1, 2])]);
  const first = g.op('Mul', [tokens, g.scalar(2, 'int64')]);
  const [left, right] = [first, g.op('Add', [first, g.scalar(1, 'int64')])].map((rows) => g.op('Gather', [each, rows]));
  const seen = g.op('Cast', [g.op('Unsqueeze', ['mask', g.ints([2])])], { to: 1 });
  const mixed = g.op('Mul', [g.op('Mul', [left!, g.op('Exp', [right!])]), seen]);
  return g.op('Exp', [g.op('Gather', [g.op('Reshape', [mixed, g.ints([-1, 2])]), places])]);
}

test('undoes the arrangement of rows without padding as the general way does', async () => {
  const mask = integers([3, 4], [1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
  const answers: Float32Array[] = [];
  for (const apart of [false, true]) {
    const { model, g, feeds } = withInput('a', [8, 4]);
    g.input('mask', 'int64', [3, 4]);
    const y = unpadded(g, apart);
    expect(arrangementsOf(model.graph)).toBeDefined();
    const all = { ...feeds, mask };
    const gradient = (await gradientsOf(model, y, ['a'], all)).get('a')!;
    addOutput(model, gradient);
    const adds = model.graph.nodes.filter(({ op }) => op === 'ScatterElements').length;
    expect(adds).toBe(apart ? 3 : 0);
    const session = await runtime.createSession(serialiseModel(model));
    answers.push((await session.run(all, { outputs: [gradient] }))[gradient]!.data as Float32Array);
    await session.release();
  }
  const [arranged, general] = answers;
  expect(arranged!.every((value, n) => Math.abs(value - general![n]!) < 1e-6)).toBe(true);
  expect(arranged!.some((value) => value !== 0)).toBe(true);
});
