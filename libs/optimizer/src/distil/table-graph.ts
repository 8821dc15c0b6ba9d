/**
 * A table and a mean as an ONNX graph: rows of a table by ids, weighed by the mask and added up. Rows of the table are 8-bit
 * integers with a scale each, which goes into the weight of a token: nothing is multiplied for it.
 */
import { type Dim, dataOf, type GraphBuilder, type OnnxType, type Value } from '@shoal/onnx';

/** Rows of 8-bit integers: value = integer × scale of its row. */
export interface IntegerTable {
  /** [rows, columns] */
  readonly integers: Int8Array;
  /** [rows] */
  readonly scales: Float32Array;
  readonly columns: number;
}

/** Each row is rounded by its largest value, which becomes 127. */
export function integerTable(table: Float32Array | Float64Array, columns: number): IntegerTable {
  const rows = table.length / columns;
  const integers = new Int8Array(table.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    let largest = 0;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, Math.abs(table[from + c]!));
    if (largest === 0) continue;
    const scale = Math.fround(largest / 127);
    scales[row] = scale;
    for (let c = 0; c < columns; c++) integers[from + c] = Math.round(table[from + c]! / scale);
  }
  return { integers, scales, columns };
}

/** What is divided by at least. */
export const LEAST = 1e-9;

/** `TensorProto.DataType` */
const FLOAT32 = 1;
const INT64 = 7;
const FLOAT64 = 11;

export interface TextInputs {
  /** [batch, sequence], int64. */
  readonly ids: Value;
  /** The same shape, as floats: 1 where a token counts. */
  readonly mask: Value;
}

const FREE: readonly Dim[] = ['batch', 'sequence'];

/** Inputs of one integer type, as the original has them. `masks`: a token counts where all of them have a 1. */
export function textInputs(g: GraphBuilder, type: OnnxType, masks: readonly string[], shape = FREE): TextInputs {
  const ids = g.input('input_ids', type, shape);
  const floats = masks.map((name) => g.op('Cast', [g.input(name, type, shape)], { to: FLOAT32 }));
  return {
    ids: type === 'int64' ? ids : g.op('Cast', [ids], { to: INT64 }),
    mask: floats.reduce((all, mask) => g.op('Mul', [all, mask])),
  };
}

/** The rows of a table that a text's tokens name. */
export interface TokenRows {
  /** [batch, sequence, columns], before they are scaled. */
  readonly rows: Value;
  /** [batch, sequence] */
  readonly scales: Value;
}

/** @param name of the table's constants */
export function gatherRows(g: GraphBuilder, name: string, table: IntegerTable, ids: Value): TokenRows {
  const { integers, scales, columns } = table;
  const all = g.constant(`${name}.rows`, 'int8', [scales.length, columns], dataOf(integers));
  const allScales = g.constant(`${name}.scales`, 'float32', [scales.length], dataOf(scales));
  return {
    rows: g.op('Cast', [g.op('Gather', [all, ids])], { to: FLOAT32 }),
    scales: g.op('Gather', [allScales, ids]),
  };
}

/**
 * [batch, columns]: the sum of the rows where `mask` is 1, divided by the sum of `counted`, or by the root of that. `mask` and
 * `counted` are floats, [batch, sequence] each.
 */
export function averageOf(
  g: GraphBuilder,
  { rows, scales }: TokenRows,
  mask: Value,
  { counted, divisor }: { readonly counted: Value; readonly divisor: 'count' | 'root' },
): Value {
  const count = countOf(g, counted);
  const share = g.op('Div', [mask, divisor === 'count' ? count : g.op('Sqrt', [count])]);
  // A product of a row with a matrix: added up while it is multiplied.
  const weights = g.op('Unsqueeze', [g.op('Mul', [scales, share]), g.ints([1])]);
  return g.op('Squeeze', [g.op('MatMul', [weights, rows]), g.ints([1])]);
}

/**
 * Of one part. A power of two, so that nothing is rounded by it; whole numbers of parts are exact in float64 up to 2^53, which sums
 * of 10,000 rows of values up to 50,000 do not reach.
 */
const PARTS = 2 ** 24;

/**
 * The same as averageOf with the root, and for one text the same to the last bit, however it is padded and whoever is beside it:
 * what is added up are whole numbers of 2^-24, in an order that does not matter. For answers that hang on a threshold.
 */
export function exactAverageOf(g: GraphBuilder, { rows, scales }: TokenRows, mask: Value, counted: Value): Value {
  const weights = g.op('Mul', [g.op('Mul', [scales, mask]), g.scalar(PARTS)]);
  const parts = g.op('Round', [g.op('Mul', [rows, g.op('Unsqueeze', [weights, g.ints([2])])])]);
  const sums = g.op('ReduceSum', [g.op('Cast', [parts], { to: FLOAT64 }), g.ints([1])], { keepdims: 0 });
  const values = g.op('Mul', [g.op('Cast', [sums], { to: FLOAT32 }), g.scalar(1 / PARTS)]);
  return g.op('Div', [values, g.op('Sqrt', [countOf(g, counted)])]);
}

/** [batch, 1] */
function countOf(g: GraphBuilder, counted: Value): Value {
  return g.op('Max', [g.op('ReduceSum', [counted, g.ints([1])], { keepdims: 1 }), g.scalar(LEAST)]);
}
