/** Activations of networks. */
import { floatOf, stringOf, type Value } from '@shoal/onnx';
import type { Rule, Tape } from '../gradient/tape.js';
import { type Slope, unary } from './elementwise.js';

const plus = (t: Tape, x: Value, by: number) => t.op('Add', [x, t.scalar(by)]);
const oneLess = (t: Tape, x: Value) => t.op('Sub', [t.scalar(1), x]);
const isPositive = (t: Tape, x: Value) => t.op('Greater', [x, t.scalar(0)]);

/** x·Φ(x) of the normal distribution: Φ(x) + x·φ(x). */
const gelu: Slope = (t, dy, x) => {
  const density = t.mul(t.op('Exp', [t.mul(t.mul(x, x), -0.5)]), 1 / Math.sqrt(2 * Math.PI));
  const share = plus(t, t.mul(t.op('Erf', [t.mul(x, Math.SQRT1_2)]), 0.5), 0.5);
  return t.mul(dy, t.op('Add', [share, t.mul(x, density)]));
};

/** y = x·(1 + tanh u)/2 with u = c·(x + k·x³) (Hendrycks and Gimpel 2016): ((1 + tanh u) + (1 − tanh² u)·x·u′)/2. */
const geluByTanh: Slope = (t, dy, x) => {
  const [c, k] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = t.mul(x, x);
  const tanh = t.op('Tanh', [t.mul(x, plus(t, t.mul(square, c * k), c))]);
  const slope = t.mul(x, plus(t, t.mul(square, 3 * c * k), c));
  const inner = t.mul(oneLess(t, t.mul(tanh, tanh)), slope);
  return t.mul(dy, t.mul(t.op('Add', [plus(t, tanh, 1), inner]), 0.5));
};

export const ACTIVATIONS: Readonly<Record<string, Rule>> = {
  Tanh: unary((t, dy, _, y) => t.mul(dy, oneLess(t, t.mul(y, y)))),
  Sigmoid: unary((t, dy, _, y) => t.mul(dy, t.mul(y, oneLess(t, y)))),
  Relu: unary((t, dy, _, y) => t.mul(dy, t.op('Sign', [y]))),
  LeakyRelu: unary((t, dy, x, _, node) =>
    t.op('Where', [isPositive(t, x), dy, t.mul(dy, floatOf(node, 'alpha', 0.01))]),
  ),
  /** Below 0: α·(eˣ − 1), whose slope is y + α. */
  Elu: unary((t, dy, x, y, node) =>
    t.op('Where', [isPositive(t, x), dy, t.mul(dy, plus(t, y, floatOf(node, 'alpha', 1)))]),
  ),
  Softplus: unary((t, dy, x) => t.mul(dy, t.op('Sigmoid', [x]))),
  Erf: unary((t, dy, x) => t.mul(dy, t.mul(t.op('Exp', [t.op('Neg', [t.mul(x, x)])]), 2 / Math.sqrt(Math.PI)))),
  Gelu: unary((t, dy, x, y, node) =>
    (stringOf(node, 'approximate', 'none') === 'tanh' ? geluByTanh : gelu)(t, dy, x, y, node),
  ),
  /** ONNX Runtime's, from before ONNX had one. */
  'com.microsoft.Gelu': unary(gelu),
  /** x·σ(αx): σ + α·y·(1 − σ). */
  'com.microsoft.QuickGelu': unary((t, dy, x, y, node) => {
    const alpha = floatOf(node, 'alpha', 1.702);
    const share = t.op('Sigmoid', [alpha === 1 ? x : t.mul(x, alpha)]);
    const rest = t.mul(y, oneLess(t, share));
    return t.mul(dy, t.op('Add', [share, alpha === 1 ? rest : t.mul(rest, alpha)]));
  }),
};
