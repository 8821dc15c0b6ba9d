/** Weights as 32-bit floats: what everything else is measured against. */
import { dataOf } from '@shoal/onnx';
import type { Precision } from './types.js';

export const float32: Precision = {
  name: 'fp32',

  linear(g, x, name, weight, bias) {
    const w = g.constant(`${name}.transposed`, 'float32', [weight.columns, weight.rows], weight.transposed);
    const product = g.op('MatMul', [x, w]);
    if (bias === undefined) return product;
    return g.op('Add', [product, g.constant(`${name}.bias`, 'float32', [bias.length], dataOf(bias))]);
  },

  embedding(g, ids, name, table) {
    return g.op('Gather', [g.constant(name, 'float32', [table.rows, table.columns], table.data), ids], { axis: 0 });
  },

  head(g, x, name, weight) {
    // Gemm takes the weight as it is, so that a tied embedding is one constant.
    const w = g.constant(name, 'float32', [weight.rows, weight.columns], weight.data);
    return g.op('Gemm', [x, w], { transB: 1 });
  },
};
