/** Products of matrices. */
import { float, floatOf, intOf, type Value } from '@shoal/onnx';
import { unsupported } from '../errors.js';
import { byFirst, type Rule, type Tape } from '../gradient/tape.js';

/** The last two axes exchanged. */
function turned(t: Tape, x: Value, rank: number): Value {
  const front = Array.from({ length: rank - 2 }, (_, n) => n);
  return t.op('Transpose', [x], { perm: [...front, rank - 1, rank - 2] });
}

export const PRODUCTS: Readonly<Record<string, Rule>> = {
  /** dA = dY·Bᵀ, dB = Aᵀ·dY; of a weight [in, out] as one product of all rows, else stack by stack. */
  MatMul: byFirst((t, node, dy) => {
    const [a = '', b = ''] = node.inputs;
    const [shapeA, shapeB, shapeY] = [t.shape(a), t.shape(b), t.shape(node.outputs[0] ?? '')];
    if (shapeA.length < 2 || shapeB.length < 2) throw unsupported(node, 'no gradient of a product with a vector');
    if (shapeB.length > 2) {
      const stack = shapeY.slice(0, -2);
      if (t.wants(a)) {
        t.give(a, t.op('MatMul', [dy, turned(t, b, shapeB.length)]), [...stack, ...shapeA.slice(-2)]);
      }
      if (t.wants(b)) {
        t.give(b, t.op('MatMul', [turned(t, a, shapeA.length), dy]), [...stack, ...shapeB.slice(-2)]);
      }
      return;
    }
    const rows = (x: Value, shape: typeof shapeA) =>
      shape.length === 2 ? x : t.op('Reshape', [x, t.ints([-1, t.fixed(node, shape.at(-1))])]);
    const flat = rows(dy, shapeY);
    if (t.wants(a)) {
      const da = t.op('Gemm', [flat, b], { transB: 1 });
      t.give(a, shapeA.length === 2 ? da : t.like(da, [], a), shapeA);
    }
    if (t.wants(b)) t.give(b, t.op('Gemm', [rows(a, shapeA), flat], { transA: 1 }), shapeB);
  }),

  /** Y = α·A′·B′ + β·C, where ′ is a transposition or none. */
  Gemm: byFirst((t, node, dy) => {
    const [a = '', b = '', c = ''] = node.inputs;
    const [transA, transB] = [intOf(node, 'transA', 0), intOf(node, 'transB', 0)];
    const [alpha, beta] = [floatOf(node, 'alpha', 1), floatOf(node, 'beta', 1)];
    const gemm = (x: Value, y: Value, turnX: number, turnY: number) =>
      t.op('Gemm', [x, y], { transA: turnX, transB: turnY, alpha: float(alpha) });
    if (t.wants(a)) t.give(a, transA ? gemm(b, dy, transB, 1) : gemm(dy, b, 0, 1 - transB), t.shape(a));
    if (t.wants(b)) t.give(b, transB ? gemm(dy, a, 1, transA) : gemm(a, dy, 1 - transA, 0), t.shape(b));
    if (t.wants(c)) t.give(c, beta === 1 ? dy : t.mul(dy, beta), t.shape(node.outputs[0] ?? ''));
  }),
};
