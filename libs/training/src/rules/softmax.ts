/** Softmax and its logarithm, along one axis. */
import { intOf, type Node, type Value } from '@shoal/onnx';
import type { Rule, Tape } from '../gradient/tape.js';
import { unary } from './elementwise.js';

const total = (t: Tape, node: Node, x: Value) =>
  t.op('ReduceSum', [x, t.ints([intOf(node, 'axis', -1)])], { keepdims: 1 });

export const SOFTMAX: Readonly<Record<string, Rule>> = {
  /** y·dy − y·Σ y·dy */
  Softmax: unary((t, dy, _, y, node) => {
    const weighted = t.mul(dy, y);
    return t.op('Sub', [weighted, t.mul(y, total(t, node, weighted))]);
  }),
  /** dy − eʸ·Σ dy */
  LogSoftmax: unary((t, dy, _, y, node) => t.op('Sub', [dy, t.mul(t.op('Exp', [y]), total(t, node, dy))])),
};
