/** Which values `narrowModel` leaves in 32 bits. What it computes is tested where there is something to run it. */
import { expect, test } from 'vitest';
import { GraphBuilder } from './build.js';
import { narrowModel } from './narrow.js';
import { indexGraph } from './query.js';
import { dataOf } from './tensor-data.js';
import type { Model, Node } from './types.js';
import { validateModel } from './validate.js';

const builder = () => new GraphBuilder({ name: 'narrow', opset: 21, irVersion: 10 });
const typesOf = ({ graph }: Model) =>
  Object.fromEntries([...graph.initializers].map(([name, { type }]) => [name, type]));
const castsOf = ({ graph }: Model) => graph.nodes.filter(({ op }) => op === 'Cast').map(({ inputs }) => inputs[0]);

test('what is computed from an output reads its 32 bits: one cast, however much that is', () => {
  const g = builder();
  const state = g.input('past', 'float32', ['n', 4]);
  const weight = g.constant('w', 'float32', [4, 4], dataOf(new Float32Array(16)));
  const logits = g.op('MatMul', [state, weight]);
  const [values = '', ids = ''] = g.ops('TopK', [logits, g.ints([2])], 2);
  const shares = g.op('GatherElements', [g.op('Softmax', [logits]), ids], { axis: 1 });
  // Log and TopK's values meet: they must be of one type.
  g.output('y', g.op('Sub', [values, g.op('Mul', [g.op('Log', [shares]), g.scalar(0.1)])]), 'float32', ['n', 2]);
  g.output('values', values, 'float32', ['n', 2]);
  g.output('logits', logits, 'float32', ['n', 4]);
  const model = narrowModel(g.build());
  validateModel(model);
  const { graph } = model;
  expect(castsOf(model)).toEqual(['logits_made']);
  const { producer } = indexGraph(graph);
  expect(producer('logits')!.op).toBe('Cast');
  for (const op of ['TopK', 'Softmax']) expect(graph.nodes.find((node) => node.op === op)!.inputs[0]).toBe('logits');
  expect(graph.inputs[0]!.type).toBe('float16');
  expect(typesOf(model)).toMatchObject({ w: 'float16', [constantOf(model, 'Mul')]: 'float32' });
});

test('angles are computed in 32 bits from positions on, with constants that stay exact', () => {
  const g = builder();
  const FLOAT32 = 1;
  const positions = g.op('Cast', [g.input('positions', 'int64', ['n'])], { to: FLOAT32 });
  const angles = g.op('Mul', [positions, g.scalar(0.1)]);
  // The constant of the angles is one of the table too.
  g.output('present', g.op('Add', [g.op('Cos', [angles]), g.scalar(0.1)]), 'float32', ['n']);
  const model = narrowModel(g.build());
  validateModel(model);
  const { producer } = indexGraph(model.graph);
  expect(producer(positions)!.attributes.get('to')).toEqual({ type: 'int', value: BigInt(FLOAT32) });
  const cosine = model.graph.nodes.find(({ op }) => op === 'Cos')!.outputs[0];
  expect(castsOf(model)).toEqual(['positions', cosine]);
  const types = typesOf(model);
  expect([constantOf(model, 'Mul'), constantOf(model, 'Add')].map((name) => types[name])).toEqual([
    'float32',
    'float16',
  ]);
  expect(model.graph.outputs[0]!.type).toBe('float16');
});

test('what is cast to floats elsewhere is 16 bits wide, sums are not', () => {
  const g = builder();
  const kept = g.op('Cast', [g.input('mask', 'int64', ['n', 'm'])], { to: 1 });
  const sum = g.op('ReduceSum', [kept, g.ints([1])]);
  g.output('y', g.op('Div', [kept, sum]), 'float32', ['n', 'm']);
  const model = narrowModel(g.build());
  validateModel(model);
  expect(castsOf(model)).toEqual(['mask', kept, sum, 'y_made']);
  const { producer } = indexGraph(model.graph);
  expect(producer(kept)!.attributes.get('to')).toEqual({ type: 'int', value: 10n });
});

/** The constant that the node of this operator reads. */
function constantOf({ graph }: Model, op: string): string {
  const node: Node = graph.nodes.find((candidate) => candidate.op === op)!;
  return node.inputs.find((name) => graph.initializers.has(name))!;
}
