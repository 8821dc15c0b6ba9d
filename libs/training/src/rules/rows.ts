/** What picks rows or single numbers by indices: the way back adds up what was picked several times. */
import { intOf, type Node, type Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';

/** `indices` [.., n] of numbers along `axis`, repeated over all that lies behind it in `like`. */
function repeated(t: Tape, indices: Value, behind: number, like: Value): Value {
  const axes = Array.from({ length: behind }, (_, n) => -1 - n);
  const column = behind === 0 ? indices : t.op('Unsqueeze', [indices, t.ints(axes)]);
  return t.op('Expand', [column, t.op('Shape', [like])]);
}

function addUp(t: Tape, x: Value, indices: Value, updates: Value, axis: number): void {
  const sum = t.op('ScatterElements', [t.zeros(x), indices, updates], { axis, reduction: 'add' });
  t.give(x, sum, t.shape(x));
}

/** Dimensions `from` to `to` of a value, as a vector. */
const some = (t: Tape, x: Value, from: number, to?: number) =>
  t.op('Shape', [x], to === undefined ? { start: from } : { start: from, end: to });

export const ROWS: Readonly<Record<string, Rule>> = {
  Gather: byFirst((t, node, dy) => {
    const [x = '', indices = ''] = node.inputs;
    if (!t.wants(x)) return;
    const shape = t.shape(x);
    const [axis = 0] = t.axes([intOf(node, 'axis', 0)], shape.length);
    const flat = t.shape(indices).length === 1;
    const list = flat ? indices : t.op('Reshape', [indices, t.ints([-1])]);
    const rest = shape.slice(1);
    const fixed = rest.filter((dim) => typeof dim === 'number');
    if (axis > 0 || fixed.length < rest.length) {
      const behind = shape.length - axis - 1;
      const parts = [some(t, x, 0, axis), some(t, list, 0), some(t, x, axis + 1)];
      const updates = flat ? dy : t.op('Reshape', [dy, t.op('Concat', parts, { axis: 0 })]);
      addUp(t, x, repeated(t, list, behind, updates), updates, axis);
      return;
    }
    const way = fixed.length === 1 ? t.arrangement(indices) : undefined;
    if (way !== undefined) t.arrange(x, way, dy, fixed[0]!);
    else t.scatter(x, list, flat ? dy : t.op('Reshape', [dy, t.ints([-1, ...fixed])]));
  }),

  GatherElements: byFirst((t, node, dy) => {
    const [x = '', indices = ''] = node.inputs;
    if (t.wants(x)) addUp(t, x, indices, dy, intOf(node, 'axis', 0));
  }),

  /** With one index for each thing picked: the n-th along the axis behind the batch's. */
  GatherND: byFirst((t, node, dy) => {
    const [x = '', indices = ''] = node.inputs;
    if (!t.wants(x)) return;
    const axis = intOf(node, 'batch_dims', 0);
    const picked = t.shape(indices);
    if (picked.at(-1) !== 1) throw unsupported(node, 'no gradient where indices have several numbers each');
    const behind = t.shape(x).length - axis - 1;
    const front = axis === 0 ? [] : [some(t, x, 0, axis)];
    const joined = (parts: readonly Value[]) => (parts.length === 1 ? parts[0]! : t.op('Concat', parts, { axis: 0 }));
    const list = t.op('Reshape', [indices, joined([...front, t.ints([-1])])]);
    const back = behind === 0 ? [] : [some(t, x, axis + 1)];
    const updates = t.op('Reshape', [dy, joined([...front, t.ints([-1]), ...back])]);
    addUp(t, x, repeated(t, list, behind, updates), updates, axis);
  }),
};

/** Rows written into a table: the way back reads them, and nothing of the table where they were written. */
export const SCATTERS: Readonly<Record<string, Rule>> = {
  ScatterElements: byFirst((t, node, dy) => {
    const [x = '', indices = '', updates = ''] = node.inputs;
    const axis = intOf(node, 'axis', 0);
    const adds = isAdding(node);
    if (t.wants(updates)) t.give(updates, t.op('GatherElements', [dy, indices], { axis }), t.shape(updates));
    if (!t.wants(x)) return;
    const nothing = t.op('ConstantOfShape', [t.dims(updates)]);
    t.give(x, adds ? dy : t.op('ScatterElements', [dy, indices, nothing], { axis }), t.shape(x));
  }),
};

function isAdding(node: Node): boolean {
  const attribute = node.attributes.get('reduction');
  const kind = attribute?.type === 'string' ? new TextDecoder().decode(attribute.value) : 'none';
  if (kind === 'none' || kind === 'add') return kind === 'add';
  throw unsupported(node, `no gradient of the reduction ${kind}`);
}
