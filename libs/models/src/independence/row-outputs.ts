/** One row's part of what a forward pass put out, and whether two of them agree. */

import { toFloat32 } from '../numbers/half.js';
import type { SessionTensor, TensorData } from '../session.js';
import { elementCount } from '../tensors/elements.js';

/** A row of one output: its dimensions without the batch's, and its values. */
export interface RowOutput {
  readonly dims: readonly number[];
  readonly values: TensorData;
  readonly float: boolean;
}

/** Which row of how many; for texts its number of tokens and the padded one. */
export interface Place {
  readonly row: number;
  readonly rows: number;
  readonly length?: number;
  readonly width?: number;
}

/** Values of one row that are looked at: a segmented image has millions, and a row is kept for each place it was in. */
const MAX_VALUES = 65_536;

/**
 * Undefined where the output does not have one entry per row. Of an output with a vector per token, what belongs to padding
 * is left out.
 */
export function rowOutput(tensor: SessionTensor, { row, rows, length, width }: Place): RowOutput | undefined {
  const { dims } = tensor;
  if (dims[0] !== rows) return undefined;
  const float = /^b?float/.test(tensor.type);
  const data = float ? floatsOf(tensor) : tensor.data;
  const stride = elementCount(dims.slice(1));
  const perToken = length !== undefined && width !== undefined && length < width && dims[1] === width;
  const own = perToken ? (stride / width) * length : stride;
  const values = data.slice(row * stride, row * stride + own);
  return { dims: perToken ? [length, ...dims.slice(2)] : dims.slice(1), values: sampled(values), float };
}

function floatsOf(tensor: SessionTensor): TensorData {
  return tensor.data instanceof Float64Array ? tensor.data : toFloat32(tensor);
}

function sampled(values: TensorData): TensorData {
  if (values.length <= MAX_VALUES) return values;
  const step = Math.ceil(values.length / MAX_VALUES);
  return values.filter((_: unknown, i: number) => i % step === 0) as TensorData;
}

/** Outputs smaller than this are compared as if they were as large: what is left of numbers that cancel out is noise. */
const SMALLEST_SCALE = 1e-2;

/**
 * Whether two results of one row are the same: floats to `tolerance` of the row's largest one, everything else exactly.
 * NaN equals NaN, and infinities only themselves.
 */
export function agree(a: RowOutput, b: RowOutput, tolerance: number): boolean {
  if (a.dims.join() !== b.dims.join()) return false;
  const margin = a.float ? tolerance * scaleOf(a.values) : 0;
  for (let i = 0; i < a.values.length; i++) {
    const [x, y] = [a.values[i]!, b.values[i]!];
    if (x === y || Object.is(x, y)) continue;
    if (typeof x !== 'number' || typeof y !== 'number' || !(Math.abs(x - y) <= margin)) return false;
  }
  return true;
}

function scaleOf(values: TensorData): number {
  let scale = SMALLEST_SCALE;
  for (const value of values) {
    const size = Math.abs(Number(value));
    if (Number.isFinite(size) && size > scale) scale = size;
  }
  return scale;
}
