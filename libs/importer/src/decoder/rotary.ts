/** Cosines and sines of positions in a graph, as RotaryEmbedding takes them. */
import { dataOf, type GraphBuilder, lazyData, type Value } from '@shoal/onnx';
import type { DecoderConfig } from './config.js';
import type { Rotary } from './rotary-config.js';

/** `TensorProto.DataType` */
const FLOAT32 = 1;

/**
 * Tables [rows, headDim / 2], and the row that each head of each token takes: [tokens, heads], queries, keys and values in
 * this order. To RotaryEmbedding a token is a text whose heads stand one behind the other, so that the packed projection is
 * turned in one step; values take a row of angle 0, which leaves them as they are. The tables end with one of those for each
 * head, since RotaryEmbedding refuses tables that have fewer rows than a text has tokens.
 */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
  readonly rows: Value;
}

/** positions: [batch, sequence] */
export function rotaryTables(g: GraphBuilder, config: DecoderConfig, positions: Value): RotaryTables {
  const { rotary, maxContext } = config;
  return g.within('rotary', () => {
    const { cos, sin, rows, still } =
      rotary.dynamic === undefined
        ? { ...fixedTables(g, config), rows: positions, still: g.scalar(maxContext, 'int64') }
        : dynamicTables(g, config, rotary.dynamic, positions);
    const turns = Array.from({ length: packedHeads(config) }, (_, head) =>
      Number(head < config.heads + config.kvHeads),
    );
    const byToken = g.op('Reshape', [rows, g.ints([-1, 1])]);
    const turned = g.op('Mul', [byToken, g.ints(turns)]);
    const left = g.op('Mul', [still, g.ints(turns.map((turn) => 1 - turn))]);
    return { cos, sin, rows: g.op('Add', [turned, left]) };
  });
}

function packedHeads({ heads, kvHeads }: DecoderConfig): number {
  return heads + 2 * kvHeads;
}

/** A row for each position of the longest context. Made when they are written: they can be larger than any weight. */
function fixedTables(g: GraphBuilder, config: DecoderConfig): Pick<RotaryTables, 'cos' | 'sin'> {
  const { maxContext } = config;
  const { frequencies, scale } = config.rotary;
  const width = frequencies.length;
  const rows = maxContext + packedHeads(config);
  const table = (name: string, of: (angle: number) => number) => {
    const make = () => {
      const values = new Float32Array(rows * width);
      // The angle is rounded as PyTorch rounds it: at position 100,000 the difference is that between right and wrong.
      for (let at = 0; at < maxContext * width; at++) {
        values[at] = scale * of(Math.fround(Math.floor(at / width) * frequencies[at % width]!));
      }
      return values.fill(of(0), maxContext * width);
    };
    return g.constant(name, 'float32', [rows, width], lazyData(4 * rows * width, make));
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
  config: DecoderConfig,
  { from, factor }: NonNullable<Rotary['dynamic']>,
  positions: Value,
): RotaryTables & { readonly still: Value } {
  const { frequencies, scale } = config.rotary;
  const width = frequencies.length;
  const constant = (name: string, values: Float32Array, rows = 1) =>
    g.constant(name, 'float32', [rows, values.length / rows], dataOf(values));
  const float = (value: Value) => g.op('Cast', [value], { to: FLOAT32 });

  const lengths = g.op('Unsqueeze', [float(g.input('rotary_lengths', 'int64', ['batch'])), g.ints([1])]);
  const growth = g.op('Sub', [g.op('Mul', [lengths, g.scalar(factor / from)]), g.scalar(factor - 1)]);
  const logGrowth = g.op('Log', [g.op('Max', [growth, g.scalar(1)])]);
  const exponents = Float32Array.from({ length: width }, (_, i) => (-2 * i) / (2 * width - 2));
  const fall = g.op('Exp', [g.op('Mul', [logGrowth, constant('rotary.exponents', exponents)])]);
  const slowed = g.op('Unsqueeze', [g.op('Mul', [fall, constant('rotary.frequencies', frequencies)]), g.ints([1])]);

  const angles = g.op('Mul', [g.op('Unsqueeze', [float(positions), g.ints([2])]), slowed]);
  const flat = g.op('Reshape', [angles, g.ints([-1, width])]);
  const stillRows = packedHeads(config);
  const table = (op: 'Cos' | 'Sin', still: number) => {
    const rest = constant(`rotary.still.${op}`, new Float32Array(stillRows * width).fill(still), stillRows);
    return g.op('Concat', [g.op('Mul', [g.op(op, [flat]), g.scalar(scale)]), rest], { axis: 0 });
  };
  const count = g.op('Size', [positions]);
  const rows = g.op('Range', [g.scalar(0, 'int64'), count, g.scalar(1, 'int64')]);
  return { cos: table('Cos', 1), sin: table('Sin', 0), rows, still: count };
}
