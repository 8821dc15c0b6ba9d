/**
 * 8-bit weights with a scale per output, for encoders; activations are rounded to 8 bits too, each row of a product (a token)
 * by its own largest value, so that a text's answer does not depend on what else is in its batch. Embeddings are blocks of
 * 8 bits. ONNX Runtime's DynamicQuantizeMatMul would take one node, but one range for the whole batch.
 */
import { dataOf, type GraphBuilder, lazyData, type TensorData, type Value } from '@shoal/onnx';
import { blockWeights } from './blocks.js';
import { float32 } from './float32.js';
import { foldIntoNorms } from './fold-norms.js';
import { levelsBeside, MIDDLE, type Product, prepared } from './row-inputs.js';
import { ROUND } from './scale-search.js';
import type { Precision, RoundedRows, RowInputs, Tuning } from './types.js';

const LARGEST = 127;
/** Of a row of zeros: any number does, but dividing by 0. */
const SMALLEST_SCALE = 1e-30;

export function rowInt8(
  name: string,
  { inputs, remember = false }: Pick<Tuning, 'inputs' | 'remember'> = {},
): Precision {
  const format = { bits: 8, headBits: 8, block: 64, symmetric: true } as const;
  const blocks = blockWeights({ name, ...format, accuracyLevel: 4 }, { remember });
  const zeroPoints = new Map<number, TensorData>();
  const zeroPointOf = (g: GraphBuilder, level: number): Value => {
    const data = zeroPoints.get(level) ?? dataOf(Uint8Array.of(level));
    zeroPoints.set(level, data);
    return g.constant(level === MIDDLE ? 'int8.zero_point' : `int8.zero_point.${level}`, 'uint8', [1], data);
  };
  return {
    name,

    linear(g, x, name, weight, bias) {
      const ready: RowInputs | 'float32' = inputs?.(name) ?? {};
      if (ready === 'float32') return float32.linear(g, x, name, weight, bias);
      const { rows, columns } = weight;
      const near = prepared(g, x, name, { weight, bias }, ready);
      const { data, scales, bias: added } = rounded(near, ready);
      const w = g.constant(`${name}.int8`, 'int8', [columns, rows], data);
      const s = g.constant(`${name}.scales`, 'float32', [rows], scales);
      const zero = zeroPointOf(g, ready.zeroPoint ?? MIDDLE);
      const scale = rowScales(g, near.x, ready.zeroPoint);
      const zeros = g.op('Expand', [zero, g.op('Shape', [scale])]);
      const levels = g.op('QuantizeLinear', [near.x, scale, zeros], { axis: 0 });
      const [product = ''] = g.contrib('MatMulIntegerToFloat', [levels, w, g.scalar(1), s, zero], 1);
      const y = g.op('Mul', [product, g.op('Unsqueeze', [scale, g.ints([1])])]);
      if (added === undefined) return y;
      return g.op('Add', [y, g.constant(`${name}.bias`, 'float32', [rows], added)]);
    },

    embedding: blocks.embedding,
    head: blocks.head,
    ...(inputs !== undefined && { finish: foldIntoNorms }),
  };
}

/** What one level is worth in each row of `x` [n, in]: [n]. Two reductions are faster than one of absolute values. */
function rowScales(g: GraphBuilder, x: Value, zeroPoint: number | undefined): Value {
  const reduced = (op: 'ReduceMax' | 'ReduceMin', factor: number) =>
    g.op('Mul', [g.op(op, [x, g.ints([-1])], { keepdims: 0 }), g.scalar(factor)]);
  const [above, below] = levelsBeside(zeroPoint);
  return g.op('Max', [reduced('ReduceMax', 1 / above), reduced('ReduceMin', -1 / below), g.scalar(SMALLEST_SCALE)]);
}

/** All parts come from one pass over the weight: the small ones wait until they are asked for, the integers do not. */
function rounded({ weight, bias }: Product, { means, round = quantiseColumns, ...inputs }: RowInputs) {
  const { rows, columns } = weight;
  let waiting: { readonly scales: Float32Array; readonly bias: Float32Array | undefined } | undefined;
  const make = (): Int8Array => {
    const values = weight.read();
    const { data, scales } = round(values, rows, columns);
    waiting = { scales, bias: means && withoutRounding(values, { data, scales }, bias, usualOf(means, inputs)) };
    return data;
  };
  const small = () => {
    if (waiting === undefined) make();
    return waiting!;
  };
  return {
    data: lazyData(rows * columns, make),
    scales: lazyData(4 * rows, () => small().scales),
    bias: means === undefined ? bias : lazyData(4 * rows, () => small().bias!),
  };
}

/** What is multiplied on average. */
function usualOf(means: Float32Array, { offsets, factors }: RowInputs): Float64Array {
  return Float64Array.from(means, (mean, n) => (mean - (offsets?.[n] ?? 0)) * (factors?.[n] ?? 1));
}

/** The bias, less what rounding the weights adds to the product of usual inputs, in 64-bit sums. */
function withoutRounding(
  values: Float32Array,
  { data, scales }: RoundedRows,
  bias: TensorData | undefined,
  usual: Float64Array,
): Float32Array {
  const [rows, columns] = [scales.length, usual.length];
  const exact = bias === undefined ? undefined : new Float32Array(new Uint8Array(bias.bytes()).buffer);
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = exact?.[row] ?? 0;
    for (let n = 0; n < columns; n++) {
      sum += (values[row * columns + n]! - data[n * rows + row]! * scales[row]!) * usual[n]!;
    }
    return sum;
  });
}

/** From [rows, columns] to integers of −127 to 127 [columns, rows], as ONNX multiplies, and a scale for each row. */
export function quantiseColumns(weights: Float32Array, rows: number, columns: number): RoundedRows {
  const data = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let peak = 0;
    for (let i = 0; i < columns; i++) peak = Math.max(peak, Math.abs(weights[start + i]!));
    const scale = Math.fround(peak / LARGEST);
    scales[row] = scale;
    if (scale === 0) continue;
    const inverse = 1 / scale;
    for (let i = 0; i < columns; i++) {
      const level = weights[start + i]! * inverse + ROUND - ROUND;
      data[i * rows + row] = Math.min(LARGEST, Math.max(-LARGEST, level));
    }
  }
  return { data, scales };
}
