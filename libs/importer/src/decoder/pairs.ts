/**
 * The order of a head's dimensions. Rotary embedding turns the first of them, or all, in pairs: checkpoints pair dimension i
 * with i + rotated / 2, this graph neighbours, so that all heads of a token can be turned as one. Queries and keys are put into
 * this order together, so their products stay what they were.
 */
import type { Linear } from '../weights.js';

export interface HeadOrder {
  readonly headDim: number;
  /** How many of the first dimensions are turned. */
  readonly rotated: number;
}

/** A projection the first `count` of whose outputs are those of heads whose halves become pairs; the others stay. */
export function pairedLinear({ name, weight, bias }: Linear, order: HeadOrder, count = weight.rows): Linear {
  const paired = weight.pickRows(weight.rows, (row) => (row < count ? halfOf(row, order) : row));
  return { name, weight: paired, bias: bias && pairedVector(bias, order, count) };
}

/** Values of one head, or of several one behind the other. */
export function pairedVector(values: Float32Array, order: HeadOrder, count = values.length): Float32Array {
  return values.map((value, at) => (at < count ? values[halfOf(at, order)]! : value));
}

/** Where the dimension that comes to `at` stands in a checkpoint. */
function halfOf(at: number, { headDim, rotated }: HeadOrder): number {
  const dim = at % headDim;
  return dim < rotated ? at - dim + (dim % 2) * (rotated / 2) + Math.floor(dim / 2) : at;
}
