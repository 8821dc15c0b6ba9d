/**
 * The order of a head's dimensions. Rotary embedding turns them in pairs: checkpoints pair dimension i with i + headDim / 2,
 * this graph neighbours, so that all heads of a token can be turned as one. Queries and keys are put into this order
 * together, so their products stay what they were.
 */
import type { Linear } from '../weights.js';

/** A projection to heads whose halves become pairs. */
export function pairedLinear({ name, weight, bias }: Linear, headDim: number): Linear {
  const paired = weight.pickRows(weight.rows, (row) => halfOf(row, headDim));
  return { name, weight: paired, bias: bias && pairedVector(bias, headDim) };
}

/** Values of one head, or of several one behind the other. */
export function pairedVector(values: Float32Array, headDim: number): Float32Array {
  return values.map((_, at) => values[halfOf(at, headDim)]!);
}

/** Where the dimension that comes to `at` stands in a checkpoint. */
function halfOf(at: number, headDim: number): number {
  const dim = at % headDim;
  return at - dim + (dim % 2) * (headDim / 2) + Math.floor(dim / 2);
}
