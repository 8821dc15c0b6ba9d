/** Cosines and sines of positions in a graph, as RotaryEmbedding takes them. */
import { dataOf, type GraphBuilder, lazyData, type Value } from '@shoal/onnx';
import type { DecoderConfig } from './config.js';
import type { Rotary } from './rotary-config.js';

/** `TensorProto.DataType` */
const FLOAT32 = 1;

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

/** positions: [batch, sequence] */
export function rotaryTables(g: GraphBuilder, config: DecoderConfig, positions: Value): RotaryTables {
  const { rotary, heads, kvHeads, maxContext } = config;
  return g.within('rotary', () => {
    const { cos, sin } =
      rotary.dynamic === undefined
        ? fixedTables(g, rotary, positions, maxContext)
        : dynamicTables(g, rotary, rotary.dynamic, positions);
    const ofAllHeads = (table: Value) => g.op('Tile', [table, g.ints([1, heads + kvHeads])]);
    const numbers = g.op('Range', [g.scalar(0, 'int64'), g.op('Size', [positions]), g.scalar(1, 'int64')]);
    const rows = g.op('Reshape', [numbers, g.op('Shape', [positions])]);
    return { cos: ofAllHeads(cos), sin: ofAllHeads(sin), rows };
  });
}

/** Of one head: [tokens, headDim / 2]. */
type HeadTables = Pick<RotaryTables, 'cos' | 'sin'>;

/** A row for each position of the longest context. Made when they are written: they can be larger than any weight. */
function fixedTables(
  g: GraphBuilder,
  { frequencies, scale }: Rotary,
  positions: Value,
  maxContext: number,
): HeadTables {
  const width = frequencies.length;
  const flat = g.op('Reshape', [positions, g.ints([-1])]);
  const table = (name: string, of: (angle: number) => number) => {
    const make = () => {
      const values = new Float32Array(maxContext * width);
      // The angle is rounded as PyTorch rounds it: at position 100,000 the difference is that between right and wrong.
      for (let at = 0; at < values.length; at++) {
        values[at] = scale * of(Math.fround(Math.floor(at / width) * frequencies[at % width]!));
      }
      return values;
    };
    const all = g.constant(name, 'float32', [maxContext, width], lazyData(4 * maxContext * width, make));
    return g.op('Gather', [all, flat], { axis: 0 });
  };
  return { cos: table('rotary.cos', Math.cos), sin: table('rotary.sin', Math.sin) };
}

/**
 * Dynamic NTK: with s = factor * length / from - (factor - 1), at least 1, the base grows by s^(dim / (dim - 2)), so the
 * frequency of pair i falls by s^(-2i / (dim - 2)). The length is an input of its own, since it is the same for all tokens
 * that a text is begun with, in however many passes they are processed.
 */
function dynamicTables(
  g: GraphBuilder,
  { frequencies, scale }: Rotary,
  { from, factor }: NonNullable<Rotary['dynamic']>,
  positions: Value,
): HeadTables {
  const width = frequencies.length;
  const constant = (name: string, values: Float32Array) =>
    g.constant(name, 'float32', [1, values.length], dataOf(values));
  const float = (value: Value) => g.op('Cast', [value], { to: FLOAT32 });

  const lengths = g.op('Unsqueeze', [float(g.input('rotary_lengths', 'int64', ['batch'])), g.ints([1])]);
  const growth = g.op('Sub', [g.op('Mul', [lengths, g.scalar(factor / from)]), g.scalar(factor - 1)]);
  const logGrowth = g.op('Log', [g.op('Max', [growth, g.scalar(1)])]);
  const exponents = Float32Array.from({ length: width }, (_, i) => (-2 * i) / (2 * width - 2));
  const fall = g.op('Exp', [g.op('Mul', [logGrowth, constant('rotary.exponents', exponents)])]);
  const slowed = g.op('Unsqueeze', [g.op('Mul', [fall, constant('rotary.frequencies', frequencies)]), g.ints([1])]);

  const angles = g.op('Mul', [g.op('Unsqueeze', [float(positions), g.ints([2])]), slowed]);
  const flat = g.op('Reshape', [angles, g.ints([-1, width])]);
  const table = (op: string) => g.op('Mul', [g.op(op, [flat]), g.scalar(scale)]);
  return { cos: table('Cos'), sin: table('Sin') };
}
