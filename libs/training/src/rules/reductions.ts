/** Sums, means and the like along axes. */
import { intOf, type Node, type Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';
import { unlessZero } from './elementwise.js';

/** Axes of a reduction, counted from the front. */
function axesOf(t: Tape, node: Node): number[] {
  const [x = '', given = ''] = node.inputs;
  const { length } = t.shape(x);
  if (given === '') return intOf(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length }, (_, n) => n);
  const axes = t.integers(given);
  if (axes === undefined) throw unsupported(node, 'no gradient where the axes are not constant');
  return t.axes(axes, length).sort((a, b) => a - b);
}

/** What came out of a reduction with its axes kept as 1, so that it can be broadcast. */
function kept(t: Tape, node: Node, value: Value): Value {
  return intOf(node, 'keepdims', 1) === 1 ? value : t.op('Unsqueeze', [value, t.ints(axesOf(t, node))]);
}

/** Of a reduction whose slope at each number is `slope`, broadcast over the shape of x. */
function reduction(slope: (t: Tape, node: Node, dy: Value, x: Value, y: Value) => Value): Rule {
  return byFirst((t, node, dy) => {
    const [x = ''] = node.inputs;
    const [y = ''] = node.outputs;
    if (t.wants(x)) t.give(x, slope(t, node, kept(t, node, dy), x, y), t.shape(x));
  });
}

const spread = (t: Tape, dy: Value, x: Value) => t.op('Expand', [dy, t.dims(x)]);

/** Where several numbers are the largest, they share the gradient, as in PyTorch's `amax`. */
const extreme = reduction((t, node, dy, x, y) => {
  const reached = t.op('Cast', [t.op('Equal', [x, kept(t, node, y)])], { to: 1 });
  const count = t.op('ReduceSum', [reached, t.ints(axesOf(t, node))], { keepdims: 1 });
  return t.mul(reached, t.op('Div', [dy, count]));
});

export const REDUCTIONS: Readonly<Record<string, Rule>> = {
  ReduceSum: reduction((t, _, dy, x) => spread(t, dy, x)),
  ReduceMean: reduction((t, node, dy, x) => {
    const axes = axesOf(t, node);
    const sizes = axes.map((axis) => t.shape(x)[axis]);
    if (sizes.every((size) => typeof size === 'number')) {
      return spread(t, t.mul(dy, 1 / sizes.reduce((a, b) => a * b, 1)), x);
    }
    const count = t.op('ReduceProd', [t.op('Gather', [t.op('Shape', [x]), t.ints(axes)])], { keepdims: 0 });
    return spread(t, t.op('Div', [dy, t.op('Cast', [count], { to: 1 })]), x);
  }),
  ReduceSumSquare: reduction((t, _, dy, x) => t.mul(t.mul(dy, 2), x)),
  /** 0 where all numbers are: the shortest of the subgradients, and PyTorch's. */
  ReduceL2: reduction((t, node, dy, x, y) => {
    const length = kept(t, node, y);
    return t.mul(x, unlessZero(t, length, t.op('Div', [dy, length])));
  }),
  ReduceMax: extreme,
  ReduceMin: extreme,
};
