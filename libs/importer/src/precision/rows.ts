/**
 * 8-bit weights with a scale per output, for encoders; activations are rounded to 8 bits too, each row of a product (a token)
 * by its own largest value, so that a text's answer does not depend on what else is in its batch. Embeddings are blocks of
 * 8 bits. ONNX Runtime's DynamicQuantizeMatMul would take one node, but one range for the whole batch.
 */
import { dataOf, type GraphBuilder, lazyData, type TensorData, type Value } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';
import { blockWeights } from './blocks.js';
import { ROUND } from './scale-search.js';
import type { Precision } from './types.js';

const LARGEST = 127;
/** What stands for 0: kernels are fastest where activations are unsigned and weights signed. */
const ZERO_POINT = dataOf(Uint8Array.of(128));
/** Of a row of zeros: any number does, but dividing by 0. */
const SMALLEST_SCALE = 1e-30;

export function rowInt8(name: string): Precision {
  const blocks = blockWeights({ name, bits: 8, headBits: 8, block: 64, symmetric: true, accuracyLevel: 4 });
  return {
    name,

    linear(g, x, name, weight, bias) {
      const { rows, columns } = weight;
      const { data, scales } = quantised(weight);
      const w = g.constant(`${name}.int8`, 'int8', [columns, rows], data);
      const s = g.constant(`${name}.scales`, 'float32', [rows], scales);
      const zero = g.constant('int8.zero_point', 'uint8', [1], ZERO_POINT);
      const scale = rowScales(g, x);
      const zeros = g.op('Expand', [zero, g.op('Shape', [scale])]);
      const levels = g.op('QuantizeLinear', [x, scale, zeros], { axis: 0 });
      const [product = ''] = g.contrib('MatMulIntegerToFloat', [levels, w, g.scalar(1), s, zero], 1);
      const y = g.op('Mul', [product, g.op('Unsqueeze', [scale, g.ints([1])])]);
      if (bias === undefined) return y;
      return g.op('Add', [y, g.constant(`${name}.bias`, 'float32', [rows], dataOf(bias))]);
    },

    embedding: blocks.embedding,
    head: blocks.head,
  };
}

/** What one level is worth in each row of `x` [n, in]: [n]. Two reductions are faster than one of absolute values. */
function rowScales(g: GraphBuilder, x: Value): Value {
  const reduced = (op: 'ReduceMax' | 'ReduceMin', factor: number) =>
    g.op('Mul', [g.op(op, [x, g.ints([-1])], { keepdims: 0 }), g.scalar(factor)]);
  return g.op('Max', [reduced('ReduceMax', 1 / LARGEST), reduced('ReduceMin', -1 / LARGEST), g.scalar(SMALLEST_SCALE)]);
}

function quantised(weight: Matrix): { data: TensorData; scales: TensorData } {
  const { rows, columns } = weight;
  let waiting: Float32Array | undefined;
  return {
    data: lazyData(rows * columns, () => {
      const { data, scales } = quantiseColumns(weight.read(), rows, columns);
      waiting = scales;
      return data;
    }),
    scales: lazyData(rows * 4, () => waiting ?? quantiseColumns(weight.read(), rows, columns).scales),
  };
}

/** From [rows, columns] to integers of −127 to 127 [columns, rows], as ONNX multiplies, and a scale for each row. */
export function quantiseColumns(weights: Float32Array, rows: number, columns: number) {
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
