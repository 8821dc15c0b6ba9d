/**
 * The order of a head's dimensions. Rotary embedding turns them in pairs: checkpoints pair dimension i with i + headDim / 2,
 * this graph neighbours, so that all heads of a token can be turned as one. Queries and keys are put into this order
 * together, so their products stay what they were.
 */
import { Matrix } from '../matrix.js';
import type { Linear } from '../weights.js';

/** A projection to heads whose halves become pairs. */
export function pairedLinear({ name, weight, bias }: Linear, headDim: number): Linear {
  const { rows, columns } = weight;
  const paired = new Matrix(rows, columns, () => pairUp(weight.read(), headDim, columns));
  return { name, weight: paired, bias: bias && pairedVector(bias, headDim) };
}

/** Values of one head, or of several one behind the other. */
export function pairedVector(values: Float32Array, headDim: number): Float32Array {
  return pairUp(values, headDim, 1);
}

/** `width` values belong to each dimension. */
function pairUp(values: Float32Array, headDim: number, width: number): Float32Array {
  const half = headDim / 2;
  const to = new Float32Array(values.length);
  for (let at = 0; at * width < values.length; at++) {
    const dim = at % headDim;
    const from = at - dim + (dim % 2) * half + Math.floor(dim / 2);
    to.set(values.subarray(from * width, (from + 1) * width), at * width);
  }
  return to;
}
