/**
 * The order of a head's dimensions. Rotary embedding turns the first of them, or all, in pairs: checkpoints pair dimension i
 * with i + rotated / 2, this graph neighbours, so that all heads of a token can be turned as one. Queries and keys are put into
 * this order together, so their products stay what they were.
 */

/**
 * For each dimension of `heads` heads, one behind the other, the one of the checkpoint that comes to stand there; `rotated` of
 * each head's are turned.
 */
export function pairedOrder(heads: number, headDim: number, rotated: number): Int32Array {
  const half = rotated / 2;
  return Int32Array.from({ length: heads * headDim }, (_, at) => {
    const dim = at % headDim;
    return dim < rotated ? at - dim + (dim % 2) * half + Math.floor(dim / 2) : at;
  });
}

/** `order[n]` is which of `values` comes to stand at `n`; what is behind the order's end stays. */
export function reorder(values: Float32Array, order: Int32Array = new Int32Array()): Float32Array {
  const to = values.slice();
  for (let at = 0; at < order.length; at++) to[at] = values[order[at]!]!;
  return to;
}
