/**
 * 8-bit weights with a scale per output, for encoders: `DynamicQuantizeMatMul` rounds the activations of each pass to 8 bits
 * too, by their smallest and largest value. One scale serves the whole batch, so a text's result depends a little on its
 * neighbours. Embeddings are blocks of 8 bits.
 */
import { dataOf, lazyData, type TensorData } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';
import { blockWeights } from './blocks.js';
import { ROUND } from './scale-search.js';
import type { Precision } from './types.js';

const LARGEST = 127;

export function dynamicInt8(name: string): Precision {
  const blocks = blockWeights({ name, bits: 8, headBits: 8, block: 64, symmetric: true, accuracyLevel: 4 });
  return {
    name,

    linear(g, x, name, weight, bias) {
      const { rows, columns } = weight;
      const { data, scales } = quantised(weight);
      const w = g.constant(`${name}.int8`, 'int8', [columns, rows], data);
      const s = g.constant(`${name}.scales`, 'float32', [rows], scales);
      const b = bias === undefined ? '' : g.constant(`${name}.bias`, 'float32', [rows], dataOf(bias));
      return g.contrib('DynamicQuantizeMatMul', [x, w, s, '', b], 1)[0]!;
    },

    embedding: blocks.embedding,
    head: blocks.head,
  };
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
