import { type Attribute, type Dim, dataOf, GraphBuilder, lazyData, type Value } from '@shoal/onnx';
import { expect, test } from 'vitest';
import { findMixing } from './mixing.js';

/** What is found in a graph of x, float32 of `shape`. */
function found(build: (g: GraphBuilder, x: Value) => Value, shape: readonly Dim[] = ['rows', 4]): string | null {
  const g = new GraphBuilder({ name: 'g', opset: 17, irVersion: 8 });
  const y = build(g, g.input('x', 'float32', shape));
  g.output('y', y, 'float32', ['n']);
  return findMixing(g.build().graph);
}

const weights = (g: GraphBuilder, ...dims: number[]) =>
  g.constant(`w${dims}`, 'float32', dims, dataOf(new Float32Array(dims.reduce((a, b) => a * b, 1))));
const unread = lazyData(80_000, () => {
  throw new Error('it was read');
});
const flipped = (g: GraphBuilder, x: Value) => g.op('Transpose', [x], { perm: [1, 0] });

test.each<[string, (g: GraphBuilder, x: Value) => Value]>([
  ['ReduceMax', (g, x) => g.op('ReduceMax', [g.op('Relu', [x])])],
  ['ReduceSum', (g, x) => g.op('ReduceSum', [x, g.ints([-2])])],
  ['ReduceMean', (g, x) => g.op('ReduceMean', [flipped(g, x)], { axes: [1] })],
  ['ArgMax', (g, x) => g.op('ArgMax', [g.op('Add', [x, g.scalar(1)])])],
  ['Softmax', (g, x) => g.op('Softmax', [g.op('MatMul', [x, weights(g, 4, 6)])], { axis: 0 })],
  ['CumSum', (g, x) => g.op('CumSum', [x, g.ints([0])])],
  ['NonZero', (g, x) => g.op('NonZero', [g.op('Greater', [x, g.scalar(0)])])],
  ['MatMul', (g, x) => g.op('MatMul', [x, flipped(g, x)])],
  ['Sub', (g, x) => g.op('Sub', [x, flipped(g, x)])],
  ['Gemm', (g, x) => g.op('Gemm', [x, weights(g, 5, 6)], { transA: 1 })],
])('%s over rows is seen', (op, build) => {
  expect(found(build)).toContain(op);
});

test('8-bit activations with one range for the whole batch are seen, wherever rows are, with what to do', () => {
  const rounded = (g: GraphBuilder, x: Value) =>
    g.ops('DynamicQuantizeLinear', [g.op('Reshape', [x, g.ints([-1])])], 3)[0]!;
  expect(found(rounded)).toMatch(/^DynamicQuantizeLinear .*int8 made from a checkpoint has one per token/);
});

test('they are seen in a branch as well, which the rows that are tried may not take', () => {
  const inner = (op: string): Attribute => {
    const node = {
      name: 'inner',
      op,
      domain: '',
      inputs: ['x'],
      outputs: ['z', 's', 'p'],
      attributes: new Map(),
      extra: [],
    };
    const outputs = [{ name: 'z', type: 'uint8', shape: [], extra: [] } as const];
    const rest = { inputs: [], outputs, valueInfos: [], initializers: new Map(), extra: [] };
    return { type: 'graph', value: { name: op, nodes: [node], ...rest } };
  };
  const branching = (op: string) => (g: GraphBuilder) =>
    g.op('If', [g.scalar(1)], { then_branch: inner('Identity'), else_branch: inner(op) });
  expect(found(branching('DynamicQuantizeLinear'))).toMatch(/^DynamicQuantizeLinear inner /);
  expect(found(branching('Identity'))).toBeNull();
});

test.each<[string, (g: GraphBuilder, x: Value) => Value]>([
  ['a reduction of each row', (g, x) => g.op('ReduceMax', [x, g.ints([1])])],
  ['a product of each row with weights', (g, x) => g.op('Gemm', [x, weights(g, 6, 4)], { transB: 1 })],
  ['a sum of rows in the same place', (g, x) => g.op('Add', [g.op('Tanh', [x]), x])],
  ['softmax of turned rows', (g, x) => g.op('Softmax', [flipped(g, x)], { axis: 0 })],
  [
    'a reduction along what can be no axes',
    (g, x) => g.op('ReduceMax', [x, g.constant('axes', 'int64', [10_000], unread)]),
  ],
  ['what is behind a reshape', (g, x) => g.op('ReduceMax', [g.op('Reshape', [x, g.ints([-1])])])],
])('nothing is said of %s', (_, build) => {
  expect(found(build)).toBeNull();
});

test('a recurrence along the first dimension is seen, one along the second is not', () => {
  const lstm = (g: GraphBuilder, x: Value) =>
    g.ops('LSTM', [x, weights(g, 1, 12, 2), weights(g, 1, 12, 3)], 1, { hidden_size: 3 })[0]!;
  expect(found(lstm, ['time', 1, 2])).toContain('LSTM');
  expect(found((g, x) => lstm(g, g.op('Transpose', [x], { perm: [1, 0, 2] })), ['rows', 'time', 2])).toBeNull();
});
