/**
 * Inputs of an 8-bit product brought near to each other, so that the largest of a row does not cost all others their bits:
 * offsets are taken away and factors multiplied (SmoothQuant, arxiv.org/abs/2211.10438; with offsets, Outlier Suppression+,
 * arxiv.org/abs/2304.09145), and weights and bias take that back. In floats the product is the same.
 */
import { dataOf, type GraphBuilder, lazyData, type TensorData, type Value } from '@shoal/onnx';
import { Matrix } from '../matrix.js';
import type { RowInputs } from './types.js';

/** What stands for 0: kernels are fastest where activations are unsigned and weights signed. */
export const MIDDLE = 128;
const LARGEST = 127;

export interface Product {
  /** [..., columns] */
  readonly x: Value;
  readonly weight: Matrix;
  readonly bias: TensorData | undefined;
}

/** x · weightᵀ + bias as (x − offsets) · factors times other weights. Constants get names that begin with `name`. */
export function prepared(
  g: GraphBuilder,
  x: Value,
  name: string,
  { weight, bias }: { readonly weight: Matrix; readonly bias: Float32Array | undefined },
  { factors, offsets }: RowInputs,
): Product {
  const { columns } = weight;
  const constant = (part: string, values: Float32Array) =>
    g.constant(`${name}.${part}`, 'float32', [columns], dataOf(values));
  const scaled = factors === undefined ? x : g.op('Mul', [x, constant('factors', factors)]);
  const divided = factors === undefined ? weight : dividedBy(weight, factors);
  if (offsets === undefined) return { x: scaled, weight: divided, bias: bias && dataOf(bias) };
  const shifts = offsets.map((offset, n) => -offset * (factors?.[n] ?? 1));
  const shifted = g.op('Add', [scaled, constant('shifts', shifts)]);
  return { x: shifted, weight: divided, bias: withOffsets(weight, bias, offsets) };
}

/** Levels above and below the one that stands for 0. */
export function levelsBeside(zeroPoint = MIDDLE): readonly [above: number, below: number] {
  return [255 - zeroPoint, Math.min(zeroPoint, LARGEST)];
}

function dividedBy(weight: Matrix, factors: Float32Array): Matrix {
  const { rows, columns } = weight;
  return new Matrix(rows, columns, () => weight.read().map((value, at) => value / factors[at % columns]!));
}

/** bias + weight · offsets, in 64-bit sums. */
function withOffsets(weight: Matrix, bias: Float32Array | undefined, offsets: Float32Array): TensorData {
  const { rows, columns } = weight;
  return lazyData(4 * rows, () => {
    const values = weight.read();
    return Float32Array.from({ length: rows }, (_, row) => {
      let sum = bias?.[row] ?? 0;
      for (let n = 0; n < columns; n++) sum += values[row * columns + n]! * offsets[n]!;
      return sum;
    });
  });
}
