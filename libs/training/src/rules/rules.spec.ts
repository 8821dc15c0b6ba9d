/** Every rule beside differences of the operator itself. */
import { type Attributes, dataOf, float, type GraphBuilder, type Value } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { operatorOf } from '../errors.js';
import { buildCase, type Case, worstError } from '../testing/graphs.js';
import { RULES } from './table.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const positive = (...dims: number[]) => ({ dims, low: 0.5, high: 2 });
/** Of a size that changes from run to run. */
const dynamic = (dims: readonly number[], other: readonly number[]) => ({ dims, other });
/** Well apart from each other and from 0. */
const apart = (dims: readonly number[]) => ({
  dims,
  values: [0.9, -0.4, 0.2, -1.1, 0.55, -0.75].slice(0, dims[0]! * (dims[1] ?? 1)),
});

/** Beside a length of 0 differences show the slope that both rules have there: as much is gained as is lost. */
const someZero = { dims: [2, 3], values: [0.9, -0.4, 0.2, 0, 0, 0] };

type Build = (g: GraphBuilder) => Value;
const of =
  (op: string, inputs: readonly string[] = ['a'], attributes: Attributes = {}): Build =>
  (g) =>
    g.op(op, inputs, attributes);

const CASES: Readonly<Record<string, Case>> = {
  ...pairs('Add'),
  ...pairs('Sub'),
  ...pairs('Mul'),
  'Div, broadcast': { inputs: { a: [2, 3, 4], b: positive(3, 1) }, build: of('Div', ['a', 'b']) },
  'Div of dynamic rows': { inputs: { a: dynamic([3, 4], [2, 4]), b: positive(4) }, build: of('Div', ['a', 'b']) },
  ...unaries('Neg', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Erf', 'Gelu', 'Softplus', 'Identity', 'Dropout'),
  ...Object.fromEntries(
    ['Sqrt', 'Log', 'Reciprocal'].map((op): [string, Case] => [op, { inputs: { a: positive(3, 5) }, build: of(op) }]),
  ),
  ...Object.fromEntries(
    ['Abs', 'Relu', 'LeakyRelu', 'Elu'].map((op): [string, Case] => [
      op,
      { inputs: { a: apart([2, 3]) }, build: of(op) },
    ]),
  ),
  'Gelu by tanh': { inputs: { a: [3, 5] }, build: of('Gelu', ['a'], { approximate: 'tanh' }) },
  'Gelu of ONNX Runtime': { inputs: { a: [3, 5] }, build: (g) => g.contrib('Gelu', ['a'], 1)[0]! },
  QuickGelu: { inputs: { a: [3, 5] }, build: (g) => g.contrib('QuickGelu', ['a'], 1)[0]! },
  'QuickGelu with α = 1': {
    inputs: { a: [3, 5] },
    build: (g) => g.contrib('QuickGelu', ['a'], 1, { alpha: float(1) })[0]!,
  },
  Pow: { inputs: { a: positive(3, 4), b: [4] }, build: of('Pow', ['a', 'b']) },
  'Pow, constant': { inputs: { a: [3, 4] }, build: (g) => g.op('Pow', ['a', g.scalar(3)]) },
  'Pow, of integers': { inputs: { a: [3, 4] }, build: (g) => g.op('Pow', ['a', g.scalar(2, 'int64')]) },
  Max: { inputs: { a: apart([2, 3]), b: { dims: [3], values: [0.1, 0.1, -0.2] } }, build: of('Max', ['a', 'b']) },
  Min: { inputs: { a: apart([2, 3]), b: { dims: [3], values: [0.1, 0.1, -0.2] } }, build: of('Min', ['a', 'b']) },
  Clip: { inputs: { a: apart([2, 3]) }, build: (g) => g.op('Clip', ['a', g.scalar(-0.6), g.scalar(0.6)]) },
  'Clip, one bound': { inputs: { a: apart([2, 3]) }, build: (g) => g.op('Clip', ['a', '', g.scalar(0.6)]) },
  Sum: { inputs: { a: [2, 3], b: [3], c: [2, 1] }, build: of('Sum', ['a', 'b', 'c']) },
  Where: {
    inputs: { a: [3, 4], b: [1, 4] },
    build: (g) => g.op('Where', [g.op('Greater', [g.ints([1, -1, 1], [3, 1]), g.ints([0])]), 'a', 'b']),
  },
  Cast: { inputs: { a: [3, 4] }, build: of('Cast', ['a'], { to: 1 }) },
  Expand: { inputs: { a: [3, 1] }, build: (g) => g.op('Expand', ['a', g.ints([2, 3, 4])]) },

  Softmax: { inputs: { a: [2, 3, 5] }, build: of('Softmax', ['a'], { axis: -1 }) },
  'Softmax along axis 1': { inputs: { a: [2, 3, 5] }, build: of('Softmax', ['a'], { axis: 1 }) },
  LogSoftmax: { inputs: { a: [4, 5] }, build: of('LogSoftmax', ['a'], { axis: -1 }) },
  LayerNormalization: {
    inputs: { a: [2, 3, 6], gain: [6], bias: [6] },
    build: of('LayerNormalization', ['a', 'gain', 'bias'], { axis: -1, epsilon: float(1e-5) }),
  },
  'LayerNormalization without bias': {
    inputs: { a: dynamic([4, 6], [3, 6]), gain: [6] },
    build: of('LayerNormalization', ['a', 'gain'], { axis: 1 }),
  },
  SimplifiedLayerNormalization: {
    inputs: { a: [2, 3, 6], gain: [6] },
    build: of('SimplifiedLayerNormalization', ['a', 'gain'], { axis: -1, epsilon: float(1e-5) }),
  },
  SkipSimplifiedLayerNormalization: {
    inputs: { a: [2, 3, 8], b: [2, 3, 8], gain: [8] },
    build(g) {
      const [y = '', , , sum = ''] = skipNorm(g);
      return g.op('Add', [y, g.op('Mul', [sum, sum])]);
    },
  },
  'SkipSimplifiedLayerNormalization, whose sum nobody reads': {
    inputs: { a: [2, 3, 8], b: [2, 3, 8], gain: [8] },
    build: (g) => skipNorm(g)[0]!,
  },

  ...reductions('ReduceSum', 'ReduceMean', 'ReduceSumSquare', 'ReduceL2'),
  'ReduceMean of dynamic rows': {
    inputs: { a: dynamic([3, 4], [2, 4]) },
    build: (g) => g.op('ReduceMean', ['a', g.ints([0])], { keepdims: 0 }),
  },
  'ReduceL2, one length being 0': { inputs: { a: someZero }, build: (g) => g.op('ReduceL2', ['a', g.ints([1])]) },
  'Sqrt of a square, one being 0': {
    inputs: { a: someZero },
    build: (g) => g.op('Sqrt', [g.op('ReduceSumSquare', ['a', g.ints([1])])]),
  },
  ReduceMax: { inputs: { a: apart([2, 3]) }, build: (g) => g.op('ReduceMax', ['a', g.ints([1])], { keepdims: 0 }) },
  ReduceMin: { inputs: { a: apart([2, 3]) }, build: (g) => g.op('ReduceMin', ['a', g.ints([0])], { keepdims: 1 }) },

  'MatMul of matrices': { inputs: { a: [3, 4], b: [4, 5] }, build: of('MatMul', ['a', 'b']) },
  'MatMul of rows of texts': {
    inputs: { a: dynamic([2, 3, 4], [3, 5, 4]), b: [4, 5] },
    build: of('MatMul', ['a', 'b']),
  },
  'MatMul of stacks': { inputs: { a: [2, 2, 3, 4], b: [2, 2, 4, 5] }, build: of('MatMul', ['a', 'b']) },
  'MatMul of stacks, broadcast': { inputs: { a: [2, 3, 3, 4], b: [2, 1, 4, 5] }, build: of('MatMul', ['a', 'b']) },
  'MatMul of a matrix by a stack': { inputs: { a: [3, 4], b: [2, 4, 5] }, build: of('MatMul', ['a', 'b']) },
  ...Object.fromEntries(
    [0, 1].flatMap((transA) =>
      [0, 1].map((transB): [string, Case] => [
        `Gemm, ${transA ? 'Aᵀ' : 'A'}·${transB ? 'Bᵀ' : 'B'}`,
        {
          inputs: { a: transA ? [4, 3] : [3, 4], b: transB ? [5, 4] : [4, 5], c: [5] },
          build: of('Gemm', ['a', 'b', 'c'], { transA, transB, alpha: float(0.7), beta: float(1.3) }),
        },
      ]),
    ),
  ),

  Reshape: { inputs: { a: [2, 6] }, build: (g) => g.op('Reshape', ['a', g.ints([3, -1])]) },
  'Reshape of dynamic sizes': {
    inputs: { a: dynamic([2, 3, 4], [3, 5, 4]) },
    build: (g) => g.op('Reshape', ['a', g.ints([-1, 4])]),
  },
  Squeeze: { inputs: { a: [2, 1, 3] }, build: (g) => g.op('Squeeze', ['a', g.ints([1])]) },
  Unsqueeze: { inputs: { a: [2, 3] }, build: (g) => g.op('Unsqueeze', ['a', g.ints([1])]) },
  Flatten: { inputs: { a: [2, 3, 4] }, build: of('Flatten', ['a'], { axis: 1 }) },
  Transpose: { inputs: { a: [2, 3, 4] }, build: of('Transpose', ['a'], { perm: [2, 0, 1] }) },
  'Transpose, all axes': { inputs: { a: [2, 3, 4] }, build: of('Transpose') },
  Concat: { inputs: { a: [2, 3], b: [2, 1], c: [2, 2] }, build: of('Concat', ['a', 'b', 'c'], { axis: -1 }) },
  'Concat of dynamic rows': {
    inputs: { a: dynamic([2, 3], [5, 3]), b: dynamic([4, 3], [3, 3]) },
    build: of('Concat', ['a', 'b'], { axis: 0 }),
  },
  'Split, one part read': {
    inputs: { a: [2, 5] },
    build: (g) => g.ops('Split', ['a', g.ints([2, 3])], 2, { axis: -1 })[1]!,
  },
  'Split, all parts read': {
    inputs: { a: [2, 6] },
    build: (g) => g.op('Mul', g.ops('Split', ['a', g.ints([3, 3])], 2, { axis: 1 })),
  },
  Slice: {
    inputs: { a: [4, 5] },
    build: (g) => g.op('Slice', ['a', g.ints([1, -4]), g.ints([3, -1]), g.ints([0, 1])]),
  },
  'Slice of dynamic rows, at bounds that are computed': {
    inputs: { a: dynamic([5, 3], [7, 3]) },
    build(g) {
      const end = g.op('Sub', [g.op('Shape', ['a'], { start: 0, end: 1 }), g.ints([1])]);
      return g.op('Slice', ['a', g.op('Sub', [end, g.ints([2])]), end, g.ints([0])]);
    },
  },
  Pad: { inputs: { a: [2, 3] }, build: (g) => g.op('Pad', ['a', g.ints([1, 0, 2, 1])]) },
  'Pad along one axis of dynamic size': {
    inputs: { a: dynamic([3, 2], [4, 2]) },
    build: (g) => g.op('Pad', ['a', g.ints([0, 2]), '', g.ints([0])]),
  },

  Gather: { inputs: { a: [5, 3] }, build: (g) => g.op('Gather', ['a', g.ints([1, 1, 4, -1])]) },
  'Gather, indices of two dimensions': {
    inputs: { a: [5, 3] },
    build: (g) => g.op('Gather', ['a', g.ints([0, 2, 2, 0, 3, 1], [2, 3])]),
  },
  'Gather of one row': { inputs: { a: [5, 3] }, build: (g) => g.op('Gather', ['a', g.scalar(2, 'int64')]) },
  'Gather of numbers': { inputs: { a: [5] }, build: (g) => g.op('Gather', ['a', g.ints([1, 1, 3])]) },
  'Gather along axis 1': {
    inputs: { a: dynamic([2, 4, 3], [3, 5, 3]) },
    build: (g) => g.op('Gather', ['a', g.ints([1, 1, 3], [3, 1])], { axis: 1 }),
  },
  'Gather along the last axis': {
    inputs: { a: [2, 4] },
    build: (g) => g.op('Gather', ['a', g.ints([3, 3, 0])], { axis: -1 }),
  },
  'Gather of a table that is a head too': {
    inputs: { a: [5, 3] },
    build: (g) => g.op('MatMul', [g.op('Gather', ['a', g.ints([1, 1, 4])]), g.op('Transpose', ['a'])]),
  },
  GatherElements: {
    inputs: { a: [3, 4] },
    build: (g) => g.op('GatherElements', ['a', g.ints([0, 3, 3, 1, 2, 2], [3, 2])], { axis: 1 }),
  },
  'GatherND, one of each text': {
    inputs: { a: [3, 4, 2] },
    build: (g) => g.op('GatherND', ['a', g.ints([1, 3, 0], [3, 1])], { batch_dims: 1 }),
  },
  GatherND: { inputs: { a: [4, 2] }, build: (g) => g.op('GatherND', ['a', g.ints([1, 1, 3], [3, 1])]) },
  ScatterElements: {
    inputs: { a: [3, 4], b: [3, 2] },
    build: (g) => g.op('ScatterElements', ['a', g.ints([0, 3, 2, 1, 2, 0], [3, 2]), 'b'], { axis: 1 }),
  },
  'ScatterElements that adds': {
    inputs: { a: [3, 4], b: [3, 2] },
    build: (g) =>
      g.op('ScatterElements', ['a', g.ints([0, 0, 2, 1, 2, 2], [3, 2]), 'b'], { axis: 1, reduction: 'add' }),
  },
  RotaryEmbedding: { inputs: { a: [2, 4, 8] }, build: (g) => rotary(g, g.ints([0]), { num_heads: 2 }) },
  'RotaryEmbedding of neighbours, by positions': {
    inputs: { a: [2, 3, 12] },
    build: (g) =>
      rotary(g, g.ints([0, 1, 2, 1, 2, 3], [2, 3]), { num_heads: 1, rotary_embedding_dim: 4, interleaved: 1 }),
  },
};

function pairs(op: string): Record<string, Case> {
  const build = of(op, ['a', 'b']);
  return {
    [`${op} of the same shape`]: { inputs: { a: [2, 3, 4], b: [2, 3, 4] }, build },
    [`${op} with a vector`]: { inputs: { a: dynamic([2, 3, 4], [3, 5, 4]), b: [4] }, build },
    [`${op}, both broadcast`]: { inputs: { a: [3, 1, 4], b: [2, 1, 5, 1] }, build },
    [`${op} with a number`]: { inputs: { a: [2, 3], b: [] }, build },
    [`${op} with what it depends on`]: { inputs: { a: [2, 3] }, build: (g) => g.op(op, ['a', g.op('Exp', ['a'])]) },
  };
}

function unaries(...ops: string[]): Record<string, Case> {
  return Object.fromEntries(ops.map((op): [string, Case] => [op, { inputs: { a: [3, 5] }, build: of(op) }]));
}

function reductions(...ops: string[]): Record<string, Case> {
  return Object.fromEntries(
    ops.flatMap((op): [string, Case][] => [
      [`${op} of all`, { inputs: { a: [2, 3] }, build: of(op, ['a'], { keepdims: 0 }) }],
      [
        `${op} along one axis`,
        { inputs: { a: [2, 3, 4] }, build: (g) => g.op(op, ['a', g.ints([1])], { keepdims: 0 }) },
      ],
      [
        `${op}, axes kept`,
        { inputs: { a: [2, 3, 4] }, build: (g) => g.op(op, ['a', g.ints([0, -1])], { keepdims: 1 }) },
      ],
    ]),
  );
}

function skipNorm(g: GraphBuilder): Value[] {
  return g.contrib('SkipSimplifiedLayerNormalization', ['a', 'b', 'gain'], 4, { epsilon: float(1e-5) });
}

function rotary(g: GraphBuilder, positions: Value, attributes: Record<string, number>): Value {
  const table = (name: string, of: (angle: number) => number) =>
    g.constant(name, 'float32', [5, 2], dataOf(Float32Array.from({ length: 10 }, (_, n) => of(0.4 * n))));
  return g.contrib(
    'RotaryEmbedding',
    ['a', positions, table('cos', Math.cos), table('sin', Math.sin)],
    1,
    attributes,
  )[0]!;
}

describe('gradients are those that differences show', () => {
  test.each(Object.entries(CASES))('%s', async (_, one) => {
    expect(await worstError(runtime, buildCase(one))).toBeLessThan(5e-4);
  });

  test('for every operator of the table', () => {
    const tried = new Set(Object.values(CASES).flatMap((one) => buildCase(one).model.graph.nodes.map(operatorOf)));
    expect([...RULES.keys()].filter((operator) => !tried.has(operator))).toEqual([]);
  });
});
