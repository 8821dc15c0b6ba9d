/** Graphs of older and of exported files become ones that can be trained, and compute the same. */
import { dataOf, float32ToFloat16, GraphBuilder, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensors } from '@shoal/onnxruntime';
import { beforeAll, expect, test } from 'vitest';
import { addOutput, emptyModel, floats, integers } from '../testing/graphs.js';
import { prepare } from './prepare.js';

import { learnShapes, textProbes } from './shapes.js';
import { storeInHalves } from './stored-halves.js';
import { weightNames } from './weight-names.js';
import { withWeights } from './with-weights.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

async function answer(model: Model, feeds: Tensors): Promise<readonly number[]> {
  const session = await runtime.createSession(serialiseModel(model));
  try {
    const [output] = Object.values(await session.run(feeds));
    return Array.from(output!.data as Float32Array);
  } finally {
    await session.release();
  }
}

const X: Tensors = { x: floats([2, 2], [1, 2, 3, 4]) };

/** x·w, where w is stored in 16 bits. */
function stored(): Model {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  const halves = Uint16Array.from([0.5, -1.5, 2, 0.25], float32ToFloat16);
  const w = g.op('Cast', [g.constant('w.float16', 'float16', [2, 2], dataOf(halves))], { to: 1 });
  const y = g.op('MatMul', [g.input('x', 'float32', ['rows', 2]), w]);
  addOutput(model, y);
  return model;
}

test('weights stored in 16 bits are constants of 32 bits, the model as it was', async () => {
  const model = stored();
  const before = model.graph.nodes.length;
  const prepared = prepare(model);
  expect([...prepared.graph.initializers].map(([name, { type }]) => [name, type])).toEqual([['Cast_out', 'float32']]);
  expect(await answer(prepared, X)).toEqual(await answer(model, X));
  expect(model.graph.nodes).toHaveLength(before);
});

test('trained weights take the place of those, and are rounded once to 16 bits where that is wanted', async () => {
  const third = Math.fround(1 / 3);
  const trained = withWeights(
    stored(),
    new Map([['Cast_out', { dims: [2, 2], data: Float32Array.of(third, 0, 0, third) }]]),
  );
  expect(await answer(trained, X)).toEqual([1, 2, 3, 4].map((x) => Math.fround(third * x)));
  storeInHalves(trained, ['Cast_out']);
  expect(trained.graph.initializers.get('Cast_out.float16')?.data.byteLength).toBe(8);
  const rounded = 1365 / 4096;
  expect(await answer(trained, X)).toEqual([1, 2, 3, 4].map((x) => Math.fround(rounded * x)));
});

test('weights that are no constants of the graph are refused by name', () => {
  const wrong = new Map([['Cast_out', { dims: [4], data: new Float32Array(4) }]]);
  expect(() => withWeights(stored(), wrong)).toThrow('no constant Cast_out of 32-bit floats [4]');
});

test('a graph of version 14 with constants in nodes computes the same', async () => {
  const model = emptyModel(14);
  const g = new GraphBuilder(model);
  const half = g.op('Constant', [], { value_floats: { type: 'floats', value: [0.5, 0.25] } });
  const centred = g.op('Sub', [g.input('x', 'float32', ['rows', 2]), g.op('ReduceMean', ['x'], { axes: [0] })]);
  const [left = '', right = ''] = g.ops('Split', [g.op('Mul', [centred, half])], 2, { axis: 1 });
  addOutput(model, g.op('Sub', [left, right]));
  const prepared = prepare(model);
  expect(prepared.opsets.get('')).toBe(18);
  expect(prepared.graph.nodes.some(({ op }) => op === 'Constant')).toBe(false);
  expect(await answer(prepared, X)).toEqual(await answer(model, X));
});

test('weights are told from literals and from tables', () => {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  const floatsOf = (name: string, ...dims: number[]) => g.constant(name, 'float32', dims, dataOf(new Float32Array(4)));
  for (const name of ['rotary.cos', 'alibi.slopes', 'layer.weight']) floatsOf(name, 4);
  for (const name of ['wide', 'layer.cosine']) floatsOf(name, 1, 4);
  g.ints([1, 2]);
  g.scalar(2);
  expect(weightNames(model)).toEqual(['layer.weight', 'wide', 'layer.cosine']);
});

test('operators older than version 13 are refused with what to do', () => {
  expect(() => prepare(emptyModel(11))).toThrow("version 11 of ONNX's operators");
});

function texts(): Model {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  for (const name of ['input_ids', 'attention_mask']) g.input(name, 'int64', ['batch', 'sequence']);
  const kept = g.op('Mul', ['input_ids', 'attention_mask']);
  const y = g.op('ReduceSum', [g.op('Cast', [kept], { to: 1 }), g.ints([1])], { keepdims: 0 });
  addOutput(model, y);
  return model;
}

test('two runs tell which dimensions are constant', async () => {
  const model = texts();
  const shapes = await learnShapes(runtime, model, textProbes(model));
  expect(shapes.get('input_ids')).toEqual({ type: 'int64', shape: ['2|3', '5|7'] });
  expect(shapes.get('ReduceSum_out')).toEqual({ type: 'float32', shape: ['2|3'] });
  expect(shapes.get('const_0')?.shape).toEqual([1]);
});

const grid = (rows: number, columns: number) => integers([rows, columns], new Array(rows * columns).fill(1));
const both = (rows: number, columns: number) => ({
  input_ids: grid(rows, columns),
  attention_mask: grid(rows, columns),
});

test.each<[string, Tensors, Tensors, string]>([
  ['sizes that are the same', both(2, 5), both(2, 7), 'batch of input_ids is 2 and 2'],
  ['a size of 1', both(1, 5), both(2, 7), 'batch of input_ids is 1 and 2'],
  ['squares', both(2, 2), both(3, 3), 'batch, sequence must have sizes that tell them apart'],
  ['an input left out', { input_ids: grid(2, 5) }, both(3, 7), 'the input attention_mask is missing'],
])('probes with %s are refused', async (_, first, second, message) => {
  const error = await learnShapes(runtime, texts(), [first, second]).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'invalid_request', message: expect.stringContaining(message) });
});

test('probes are made of texts only', () => {
  expect(() => textProbes(stored())).toThrow('the input x is not of texts');
});
