/** Cosines and sines of positions in a graph, as RotaryEmbedding takes them. */
import { dataOf, type GraphBuilder, lazyData, type Value } from '@shoal/onnx';
import type { Rotary } from './rotary-config.js';

/** `TensorProto.DataType` */
const FLOAT32 = 1;

/** Numbers of a table that is stored. Of longer contexts cosines are computed in each pass: the table would outgrow the weights. */
const MAX_TABLE = 2 ** 20;

/**
 * Tables [tokens, pairs] of a pass, and which of their rows each token [batch, sequence] takes. The pairs are those of all
 * heads of queries and keys, one head behind the other: to RotaryEmbedding a token's packed projection is one head, of
 * which it turns this first part and leaves the rest, the values, as it is.
 */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
  readonly rows: Value;
}

export interface RotaryShape {
  /** Of queries and keys together. */
  readonly heads: number;
  readonly headDim: number;
  readonly maxContext: number;
  /** [batch, sequence] */
  readonly positions: Value;
  /** Makes the input that frequencies depend on where they change with a text's length: int64 [batch]. */
  readonly lengths: () => Value;
}

/** Of one head: [tokens, headDim / 2]. */
type HeadTables = Pick<RotaryTables, 'cos' | 'sin'>;

/** Numbers of each pair of a head: what is not turned has the angle 0 and the scale 1. */
interface Pairs {
  readonly name: string;
  readonly frequencies: Float32Array;
  readonly scales: Float32Array;
}

/** The tables of a graph: made once for all layers that turn by the same. */
export function rotaryReader(g: GraphBuilder, shape: RotaryShape): (rotary: Rotary) => RotaryTables {
  const known = new Map<Rotary, RotaryTables>();
  let lengths: Value | undefined;
  const lengthsOnce = () => {
    lengths ??= shape.lengths();
    return lengths;
  };
  return (rotary) => {
    const there = known.get(rotary);
    if (there !== undefined) return there;
    const name = known.size === 0 ? 'rotary' : `rotary_${known.size}`;
    const made = g.within(name, () => tablesOf(g, name, rotary, { ...shape, lengths: lengthsOnce }));
    known.set(rotary, made);
    return made;
  };
}

function tablesOf(g: GraphBuilder, name: string, rotary: Rotary, shape: RotaryShape): RotaryTables {
  const { heads, positions } = shape;
  const { cos, sin } = headTables(g, name, rotary, shape);
  const ofAllHeads = (table: Value) => g.op('Tile', [table, g.ints([1, heads])]);
  const numbers = g.op('Range', [g.scalar(0, 'int64'), g.op('Size', [positions]), g.scalar(1, 'int64')]);
  const rows = g.op('Reshape', [numbers, g.op('Shape', [positions])]);
  return { cos: ofAllHeads(cos), sin: ofAllHeads(sin), rows };
}

function headTables(g: GraphBuilder, name: string, rotary: Rotary, shape: RotaryShape): HeadTables {
  const width = shape.headDim / 2;
  const padded = (values: Float32Array, rest: number) => {
    const all = new Float32Array(width).fill(rest);
    all.set(values);
    return all;
  };
  const pairs: Pairs = {
    name,
    frequencies: padded(rotary.frequencies, 0),
    scales: padded(
      rotary.frequencies.map(() => rotary.scale),
      1,
    ),
  };
  const constant = (part: string, values: Float32Array, dims: readonly number[]) =>
    g.constant(`${name}.${part}`, 'float32', dims, dataOf(values));
  const plain = () => constant('frequencies', pairs.frequencies, [1, width]);
  if (rotary.dynamic !== undefined) {
    return computed(g, pairs, shape, slowed(g, plain(), constant, rotary.frequencies.length, rotary.dynamic, shape));
  }
  if (rotary.long !== undefined) {
    const { beyond, frequencies } = rotary.long;
    const over = g.op('Greater', [perText(g, shape), g.scalar(beyond, 'int64')]);
    const long = constant('long_frequencies', padded(frequencies, 0), [1, width]);
    return computed(g, pairs, shape, g.op('Where', [over, long, plain()]));
  }
  if (shape.maxContext * width > MAX_TABLE) return computed(g, pairs, shape, plain());
  return stored(g, pairs, shape);
}

/** A row for each position of the longest context. */
function stored(g: GraphBuilder, { name, frequencies, scales }: Pairs, shape: RotaryShape): HeadTables {
  const { maxContext, positions } = shape;
  const width = frequencies.length;
  const flat = g.op('Reshape', [positions, g.ints([-1])]);
  const table = (part: string, of: (angle: number) => number) => {
    const make = () => {
      const values = new Float32Array(maxContext * width);
      // The angle is rounded as PyTorch rounds it: at position 100,000 the difference is that between right and wrong.
      for (let at = 0; at < values.length; at++) {
        const pair = at % width;
        values[at] = scales[pair]! * of(Math.fround(Math.floor(at / width) * frequencies[pair]!));
      }
      return values;
    };
    const all = g.constant(`${name}.${part}`, 'float32', [maxContext, width], lazyData(4 * maxContext * width, make));
    return g.op('Gather', [all, flat], { axis: 0 });
  };
  return { cos: table('cos', Math.cos), sin: table('sin', Math.sin) };
}

/** `frequencies`: [batch or 1, pairs]. Angles are products of 32-bit floats, as PyTorch's are. */
function computed(
  g: GraphBuilder,
  { name, scales }: Pairs,
  { positions }: RotaryShape,
  frequencies: Value,
): HeadTables {
  const width = scales.length;
  const places = g.op('Unsqueeze', [g.op('Cast', [positions], { to: FLOAT32 }), g.ints([2])]);
  const angles = g.op('Mul', [places, g.op('Unsqueeze', [frequencies, g.ints([1])])]);
  const flat = g.op('Reshape', [angles, g.ints([-1, width])]);
  const [cos, sin] = [g.op('Cos', [flat]), g.op('Sin', [flat])];
  if (scales.every((scale) => scale === 1)) return { cos, sin };
  const factors = g.constant(`${name}.scales`, 'float32', [width], dataOf(scales));
  return { cos: g.op('Mul', [cos, factors]), sin: g.op('Mul', [sin, factors]) };
}

/**
 * Dynamic NTK: with s = factor * length / from - (factor - 1), at least 1, the base grows by s^(dim / (dim - 2)), so the
 * frequency of pair i falls by s^(-2i / (dim - 2)). The length is an input of its own, since it is the same for all tokens
 * that a text is begun with, in however many passes they are processed.
 */
function slowed(
  g: GraphBuilder,
  frequencies: Value,
  constant: (part: string, values: Float32Array, dims: readonly number[]) => Value,
  pairs: number,
  { from, factor }: NonNullable<Rotary['dynamic']>,
  shape: RotaryShape,
): Value {
  const lengths = g.op('Cast', [perText(g, shape)], { to: FLOAT32 });
  const growth = g.op('Sub', [g.op('Mul', [lengths, g.scalar(factor / from)]), g.scalar(factor - 1)]);
  const logGrowth = g.op('Log', [g.op('Max', [growth, g.scalar(1)])]);
  const exponents = Float32Array.from({ length: shape.headDim / 2 }, (_, i) => (-2 * i) / (2 * pairs - 2));
  const fall = g.op('Exp', [g.op('Mul', [logGrowth, constant('exponents', exponents, [1, exponents.length])])]);
  return g.op('Mul', [fall, frequencies]);
}

/** [batch, 1] */
function perText(g: GraphBuilder, { lengths }: RotaryShape): Value {
  return g.op('Unsqueeze', [lengths(), g.ints([1])]);
}
