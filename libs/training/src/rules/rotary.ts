/** Rotary positions (Su et al. 2021): pairs of numbers turned by an angle; the way back turns by the opposite one. */
import { unsupported } from '../errors.js';
import { byFirst, type Rule } from '../gradient/tape.js';

export const ROTARY: Readonly<Record<string, Rule>> = {
  /** The angle is turned round by the sign of its sine; layout and scale are the operator's own. */
  'com.microsoft.RotaryEmbedding': byFirst((t, node, dy) => {
    const [x = '', positions = '', cos = '', sin = ''] = node.inputs;
    if (t.wants(cos) || t.wants(sin)) throw unsupported(node, 'no gradient by the angles');
    if (!t.wants(x)) return;
    const attributes = Object.fromEntries(node.attributes);
    const [dx = ''] = t.g.contrib('RotaryEmbedding', [dy, positions, cos, t.op('Neg', [sin])], 1, attributes);
    t.give(x, dx, t.shape(x));
  }),
};
