/** Graphs and tensors that several specs use. */
import type { ElementType } from '@shoal/contracts';
import { type Graph, tensorInfo, writeModel } from '../onnx-writer.js';
import type { Tensor } from '../types.js';

/** x → y, unchanged, of any two sizes. */
export function identity(type: ElementType): Uint8Array {
  return writeModel({
    inputs: [tensorInfo('x', type, 'rows', '')],
    outputs: [tensorInfo('y', type, 'rows', '')],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}

/** y = x + x, z = y + y; float32 of one dynamic dimension. */
export function doubling(): Uint8Array {
  return writeModel({
    inputs: [tensorInfo('x', 'float32', 'n')],
    outputs: [tensorInfo('y', 'float32', 'n'), tensorInfo('z', 'float32', 'n')],
    nodes: [
      { op: 'Add', inputs: ['x', 'x'], outputs: ['y'] },
      { op: 'Add', inputs: ['y', 'y'], outputs: ['z'] },
    ],
  });
}

/** y = x multiplied by itself `length` times: slow, one operator after another. */
export function powers(length: number): Uint8Array {
  const name = (i: number) => (i === 0 ? 'x' : i === length ? 'y' : `x${i}`);
  return writeModel({
    inputs: [tensorInfo('x', 'float32', 'n', 'n')],
    outputs: [tensorInfo('y', 'float32', 'n', 'n')],
    nodes: Array.from({ length }, (_, i) => ({ op: 'MatMul', inputs: [name(i), 'x'], outputs: [name(i + 1)] })),
  });
}

/** y = x, at the bottom of branches within branches. */
export function nested(depth: number): Uint8Array {
  const branch = (levels: number): Graph => ({
    inputs: [],
    outputs: [tensorInfo(`y${levels}`, 'float32', 1)],
    nodes: [
      levels === 0
        ? { op: 'Identity', inputs: ['x'], outputs: ['y0'] }
        : {
            op: 'If',
            inputs: ['deeper'],
            outputs: [`y${levels}`],
            attributes: { then_branch: branch(levels - 1), else_branch: branch(0) },
          },
    ],
  });
  const inputs = [tensorInfo('x', 'float32', 1), tensorInfo('deeper', 'bool')];
  return writeModel({ ...branch(depth), inputs });
}

export function floats(...values: number[]): Tensor {
  return { type: 'float32', dims: [values.length], data: Float32Array.from(values) };
}

/** A square of zeros. */
export function zeros(size: number): Tensor {
  return { type: 'float32', dims: [size, size], data: new Float32Array(size * size) };
}
