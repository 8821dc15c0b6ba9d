import { GraphBuilder, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { emptyModel, floats, integers } from '../testing/graphs.js';
import { EMBEDDING, pooled } from './pooled.js';

function embedder(): Model {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const x = g.op('Neg', [g.input('x', 'float32', ['batch', 'sequence', 2])]);
  g.output('last_hidden_state', x, 'float32', ['batch', 'sequence', 2]);
  return model;
}

test.each([
  ['mean', [-2, -3, -5, -6]],
  ['first', [-1, -2, -5, -6]],
] as const)('the %s of the tokens that are no padding', async (how, wanted) => {
  const runtime = await openRuntime();
  const session = await runtime.createSession(serialiseModel(pooled(embedder(), how)));
  const answer = await session.run({
    x: floats([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    attention_mask: integers([2, 2], [1, 1, 1, 0]),
  });
  expect(answer[EMBEDDING]).toEqual(floats([2, 2], wanted));
  expect(Object.keys(answer)).toEqual([EMBEDDING]);
  await session.release();
});

test('needs token vectors and a mask', () => {
  const other = embedder();
  other.graph.inputs = other.graph.inputs.filter(({ name }) => name !== 'attention_mask');
  expect(() => pooled(other, 'mean')).toThrow('takes no attention_mask');
  expect(() => pooled(pooled(embedder(), 'mean'), 'mean')).toThrow('does not have one output of token vectors');
});
