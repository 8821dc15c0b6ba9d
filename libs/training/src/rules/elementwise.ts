/** Operators that work number by number, with broadcasting. */
import type { Node, Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';

/** What the gradient of y becomes on its way to x, of an operator y = f(x). */
export type Slope = (t: Tape, dy: Value, x: Value, y: Value, node: Node) => Value;

export function unary(slope: Slope): Rule {
  return byFirst((t, node, dy) => {
    const [x = ''] = node.inputs;
    const [y = ''] = node.outputs;
    if (t.wants(x)) t.give(x, slope(t, dy, x, y, node), t.shape(y));
  });
}

/** What the gradient of y becomes on its way to either input, of y = f(a, b). */
interface Slopes {
  readonly a: (t: Tape, dy: Value, a: Value, b: Value, y: Value) => Value;
  readonly b: (t: Tape, dy: Value, a: Value, b: Value, y: Value) => Value;
}

function binary(slopes: Slopes): Rule {
  return byFirst((t, node, dy) => {
    const [a = '', b = ''] = node.inputs;
    const [y = ''] = node.outputs;
    if (t.wants(a)) t.give(a, slopes.a(t, dy, a, b, y), t.shape(y));
    if (t.wants(b)) t.give(b, slopes.b(t, dy, a, b, y), t.shape(y));
  });
}

const same: Slopes['a'] = (_, dy) => dy;
const negative = (t: Tape, x: Value) => t.op('Neg', [x]);
const where = (t: Tape, condition: Value, dy: Value) => t.op('Where', [condition, dy, t.scalar(0)]);

/** `x`, and 0 where `y` is 0: of slopes that are divided by it. */
export function unlessZero(t: Tape, y: Value, x: Value): Value {
  return t.op('Where', [t.op('Equal', [y, t.scalar(0)]), t.scalar(0), x]);
}

/** The exponent in the type of the base: ONNX lets it be of integers. */
function exponent(t: Tape, b: Value): Value {
  return t.type(b) === 'float32' ? b : t.op('Cast', [b], { to: 1 });
}

/** The larger or the smaller of two; where they are equal, the first counts as chosen. */
function chosen(first: 'GreaterOrEqual' | 'LessOrEqual', second: 'Less' | 'Greater'): Rule {
  const of = binary({
    a: (t, dy, a, b) => where(t, t.op(first, [a, b]), dy),
    b: (t, dy, a, b) => where(t, t.op(second, [a, b]), dy),
  });
  return (t, node, gradients) => {
    if (node.inputs.length !== 2) throw unsupported(node, 'no gradient of other than two inputs');
    of(t, node, gradients);
  };
}

export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  Neg: unary((t, dy) => negative(t, dy)),
  Exp: unary((t, dy, _, y) => t.mul(dy, y)),
  Log: unary((t, dy, x) => t.op('Div', [dy, x])),
  /** 0 at 0, where there is no slope: lengths of vectors are made of it, and have a least one there. */
  Sqrt: unary((t, dy, _, y) => unlessZero(t, y, t.op('Div', [t.mul(dy, 0.5), y]))),
  Reciprocal: unary((t, dy, _, y) => negative(t, t.mul(dy, t.mul(y, y)))),
  Abs: unary((t, dy, x) => t.mul(dy, t.op('Sign', [x]))),
  Sin: unary((t, dy, x) => t.mul(dy, t.op('Cos', [x]))),
  Cos: unary((t, dy, x) => negative(t, t.mul(dy, t.op('Sin', [x])))),

  Add: binary({ a: same, b: same }),
  Sub: binary({ a: same, b: (t, dy) => negative(t, dy) }),
  Mul: binary({ a: (t, dy, _, b) => t.mul(dy, b), b: (t, dy, a) => t.mul(dy, a) }),
  Div: binary({
    a: (t, dy, _, b) => t.op('Div', [dy, b]),
    b: (t, dy, _, b, y) => negative(t, t.mul(t.op('Div', [dy, b]), y)),
  }),
  Pow: binary({
    a(t, dy, a, b) {
      const power = exponent(t, b);
      return t.mul(dy, t.mul(power, t.op('Pow', [a, t.op('Sub', [power, t.scalar(1)])])));
    },
    b: (t, dy, a, _, y) => t.mul(dy, t.mul(y, t.op('Log', [a]))),
  }),
  Max: chosen('GreaterOrEqual', 'Less'),
  Min: chosen('LessOrEqual', 'Greater'),

  /** Any number of inputs. */
  Sum: byFirst((t, node, dy) => {
    for (const input of node.inputs) t.give(input, dy, t.shape(node.outputs[0] ?? ''));
  }),

  Where: byFirst((t, node, dy) => {
    const [condition = '', a = '', b = ''] = node.inputs;
    const shape = t.shape(node.outputs[0] ?? '');
    if (t.wants(a)) t.give(a, where(t, condition, dy), shape);
    if (t.wants(b)) t.give(b, t.op('Where', [condition, t.scalar(0), dy]), shape);
  }),

  /** Nothing outside of the bounds, which are taken for constants. */
  Clip: byFirst((t, node, dy) => {
    const [x = '', low = '', high = ''] = node.inputs;
    if (t.wants(low) || t.wants(high)) throw unsupported(node, 'no gradient by the bounds');
    const above = low === '' ? dy : where(t, t.op('GreaterOrEqual', [x, low]), dy);
    t.give(x, high === '' ? above : where(t, t.op('LessOrEqual', [x, high]), above), t.shape(x));
  }),
};
