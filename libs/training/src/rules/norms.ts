/** Normalisation along the last axis. */
import { type Dim, floatOf, intOf, type Node, type Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';

const mean = (t: Tape, x: Value) => t.op('ReduceMean', [x, t.ints([-1])], { keepdims: 1 });

function lastAxis(t: Tape, node: Node, x: Value): void {
  const { length } = t.shape(x);
  if (t.axes([intOf(node, 'axis', -1)], length)[0] !== length - 1) {
    throw unsupported(node, 'no gradient of a norm over several axes');
  }
}

/** An output that nobody asked for so far, asked for now: what the operator has computed anyway. */
function output(node: Node, n: number, name: string): Value {
  while (node.outputs.length <= n) node.outputs.push('');
  const value = node.outputs[n] || `${node.outputs[0]}/${name}`;
  node.outputs[n] = value;
  return value;
}

/** 1 / √(mean of squares + ε), where the operator does not put it out. */
function inverseRoot(t: Tape, x: Value, epsilon: number): Value {
  return t.op('Reciprocal', [t.op('Sqrt', [t.op('Add', [mean(t, t.mul(x, x)), t.scalar(epsilon)])])]);
}

/**
 * Of n·gain, where n is x·inverse, by x: (dn − n·mean(dn·n))·inverse, where dn is dy·gain. The gain gets its part. `shape` is
 * that of x.
 */
function rootMeanSquare(t: Tape, dy: Value, x: Value, gain: Value, inverse: Value, shape: readonly Dim[]): Value {
  const normed = t.mul(x, inverse);
  if (t.wants(gain)) t.give(gain, t.mul(dy, normed), shape);
  const dn = t.mul(dy, gain);
  return t.mul(t.op('Sub', [dn, t.mul(normed, mean(t, t.mul(dn, normed)))]), inverse);
}

export const NORMS: Readonly<Record<string, Rule>> = {
  /** (x − mean) / deviation · gain + bias (Ba et al. 2016), by x: (dn − mean(dn) − n·mean(dn·n)) / deviation. */
  LayerNormalization: byFirst((t, node, dy) => {
    const [x = '', gain = '', bias = ''] = node.inputs;
    lastAxis(t, node, x);
    const shape = t.shape(x);
    t.give(bias, dy, shape);
    if (!t.wants(x) && !t.wants(gain)) return;
    const [average, inverse] = [output(node, 1, 'mean'), output(node, 2, 'inverse')];
    const normed = t.mul(t.op('Sub', [x, average]), inverse);
    if (t.wants(gain)) t.give(gain, t.mul(dy, normed), shape);
    if (!t.wants(x)) return;
    const dn = t.mul(dy, gain);
    const centred = t.op('Sub', [dn, mean(t, dn)]);
    t.give(x, t.mul(t.op('Sub', [centred, t.mul(normed, mean(t, t.mul(dn, normed)))]), inverse), shape);
  }),

  /** RMSNorm (Zhang and Sennrich 2019), by ONNX Runtime's name for it. */
  SimplifiedLayerNormalization: byFirst((t, node, dy) => {
    const [x = '', gain = ''] = node.inputs;
    lastAxis(t, node, x);
    const shape = t.shape(x);
    const dx = rootMeanSquare(t, dy, x, gain, output(node, 1, 'inverse'), shape);
    t.give(x, dx, shape);
  }),

  /** RMSNorm of x + skip, which is put out beside (fourth) and has a gradient of its own. */
  'com.microsoft.SkipSimplifiedLayerNormalization': (t, node, gradients) => {
    const [x = '', skip = '', gain = '', bias = ''] = node.inputs;
    if (bias !== '') throw unsupported(node, 'no gradient with a bias');
    const [dy, , , dsum] = gradients;
    const shape = t.shape(x);
    const parts = dsum === undefined ? [] : [dsum];
    if (dy !== undefined) {
      const sum = output(node, 3, 'sum');
      // The operator's own inverse is not filled in on the CPU.
      const inverse = inverseRoot(t, sum, floatOf(node, 'epsilon', 1e-12));
      parts.push(rootMeanSquare(t, dy, sum, gain, inverse, shape));
    }
    const both = parts.reduce((a, b) => t.op('Add', [a, b]));
    t.give(x, both, shape);
    t.give(skip, both, shape);
  },
};
