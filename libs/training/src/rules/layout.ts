/** What moves numbers without changing them. */
import { intOf, intsOf, type Node, stringOf, type Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';

const reshaped = byFirst((t, node, dy) => {
  const [x = ''] = node.inputs;
  if (t.wants(x)) t.give(x, t.like(dy, t.shape(node.outputs[0] ?? ''), x), t.shape(x));
});

const unchanged = byFirst((t, node, dy) => {
  t.give(node.inputs[0] ?? '', dy, t.shape(node.outputs[0] ?? ''));
});

/** Sizes of some axes of a value, as a vector. */
const sizes = (t: Tape, x: Value, axes: readonly number[]) => t.op('Gather', [t.op('Shape', [x]), t.ints(axes)]);

/** A constant list of a node's input, or what stands for it where it is left out. */
function listed(t: Tape, node: Node, input: Value, standard: readonly number[]): readonly number[] {
  if (input === '') return standard;
  const list = t.integers(input);
  if (list === undefined) throw unsupported(node, `no gradient where ${input} is not constant`);
  return list;
}

/** Where slices begin, counted from the front and within the axis, as ONNX bounds them. */
function beginnings(t: Tape, starts: Value, size: Value): Value {
  const zero = t.ints([0]);
  // Starts may be int32, sizes are int64.
  const wide = t.type(starts) === 'int64' ? starts : t.op('Cast', [starts], { to: 7 });
  const counted = t.op('Where', [t.op('Less', [wide, zero]), t.op('Add', [wide, size]), wide]);
  return t.op('Min', [t.op('Max', [counted, zero]), size]);
}

export const LAYOUT: Readonly<Record<string, Rule>> = {
  Identity: unchanged,
  /** Broadcast: what was repeated is added up. */
  Expand: unchanged,
  Reshape: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Flatten: reshaped,

  /** Of a served graph: it drops nothing. */
  Dropout: byFirst((t, node, dy) => {
    if ((node.inputs[2] ?? '') !== '') throw unsupported(node, 'no gradient where it may drop numbers (training_mode)');
    t.give(node.inputs[0] ?? '', dy, t.shape(node.outputs[0] ?? ''));
  }),

  Cast: byFirst((t, node, dy) => {
    const [x = ''] = node.inputs;
    if (!t.wants(x)) return;
    if (t.type(node.outputs[0] ?? '') !== 'float32') {
      throw unsupported(node, 'no gradient through floats of other than 32 bits');
    }
    t.give(x, dy, t.shape(x));
  }),

  Transpose: byFirst((t, node, dy) => {
    const [x = ''] = node.inputs;
    if (!t.wants(x)) return;
    const shape = t.shape(x);
    const perm = intsOf(node, 'perm') ?? shape.map((_, n) => shape.length - 1 - n);
    t.give(x, t.op('Transpose', [dy], { perm: perm.map((_, n) => perm.indexOf(n)) }), shape);
  }),

  Concat: byFirst((t, node, dy) => {
    const { length: rank } = t.shape(node.outputs[0] ?? '');
    const [axis = 0] = t.axes([intOf(node, 'axis', 0)], rank);
    const dims = node.inputs.map((input) => t.shape(input)[axis]);
    const split = dims.every((dim) => typeof dim === 'number')
      ? t.ints(dims)
      : t.op(
          'Concat',
          node.inputs.map((input) => t.op('Shape', [input], { start: axis, end: axis + 1 })),
          { axis: 0 },
        );
    const parts = t.g.ops('Split', [dy, split], node.inputs.length, { axis });
    for (const [n, input] of node.inputs.entries()) t.give(input, parts[n]!, t.shape(input));
  }),

  Split: (t, node, gradients) => {
    const [x = ''] = node.inputs;
    if (!t.wants(x)) return;
    const parts = node.outputs.map((output, n) => gradients[n] ?? t.op('ConstantOfShape', [t.op('Shape', [output])]));
    t.give(x, t.op('Concat', parts, { axis: intOf(node, 'axis', 0) }), t.shape(x));
  },

  /** Zeros before and behind. */
  Slice: byFirst((t, node, dy) => {
    const [x = '', starts = '', , axesName = '', steps = ''] = node.inputs;
    if (!t.wants(x)) return;
    const shape = t.shape(x);
    const first = Array.from({ length: t.fixed(node, t.shape(starts)[0]) }, (_, n) => n);
    const axes = t.axes(listed(t, node, axesName, first), shape.length);
    if (listed(t, node, steps, []).some((step) => step !== 1)) throw unsupported(node, 'no gradient with steps');
    const size = sizes(t, x, axes);
    const before = beginnings(t, starts, size);
    const behind = t.op('Sub', [t.op('Sub', [size, before]), sizes(t, dy, axes)]);
    const pads = t.op('Concat', [before, behind], { axis: 0 });
    t.give(x, t.op('Pad', [dy, pads, '', t.ints(axes)]), shape);
  }),

  /** What was added is cut off. */
  Pad: byFirst((t, node, dy) => {
    const [x = '', padsName = '', , axesName = ''] = node.inputs;
    if (!t.wants(x)) return;
    if (stringOf(node, 'mode', 'constant') !== 'constant')
      throw unsupported(node, 'no gradient but of constant padding');
    const shape = t.shape(x);
    const axes = t.axes(
      listed(
        t,
        node,
        axesName,
        shape.map((_, n) => n),
      ),
      shape.length,
    );
    const before = listed(t, node, padsName, []).slice(0, axes.length);
    if (listed(t, node, padsName, []).some((pad) => pad < 0))
      throw unsupported(node, 'no gradient of negative padding');
    const starts = t.ints(before);
    const ends = t.op('Add', [starts, sizes(t, x, axes)]);
    t.give(x, t.op('Slice', [dy, starts, ends, t.ints(axes)]), shape);
  }),
};
