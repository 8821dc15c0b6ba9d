/**
 * Sums of 8-bit products, whole on every processor. x64 processors without VNNI add pairs of them in 16 bits, which overflow;
 * ONNX Runtime can multiply in a way that does not. That way takes others two to four times as long, so it is taken only
 * where a product comes out wrong.
 */
import { tensorInfo, writeModel } from './onnx-writer.js';
import type { Runtime, Tensor } from './types.js';

const WHOLE_SUMS = { 'session.x64quantprecision': '1' } as const;

/** Rows and columns enough for the kernels of full tiles, not only those of the edges. */
const [ROWS, DEPTH, COLUMNS] = [16, 64, 32];
const [LARGEST_INPUT, LARGEST_WEIGHT] = [255, 127];

const LARGEST_PRODUCTS = writeModel({
  name: 'largest-products',
  inputs: [tensorInfo('x', 'uint8', ROWS, DEPTH)],
  outputs: [tensorInfo('y', 'int32', ROWS, COLUMNS)],
  nodes: [{ op: 'MatMulInteger', inputs: ['x', 'W'], outputs: ['y'] }],
  constants: {
    W: { type: 'int8', dims: [DEPTH, COLUMNS], data: new Int8Array(DEPTH * COLUMNS).fill(LARGEST_WEIGHT) },
  },
});

/** The runtime itself where its sums are whole, else one whose sessions are made so that they are. */
export async function withWholeSums(runtime: Runtime): Promise<Runtime> {
  if (await sumsAreWhole(runtime)) return runtime;
  return {
    ...runtime,
    createSession: (model, options = {}) =>
      runtime.createSession(model, { ...options, config: { ...WHOLE_SUMS, ...options.config } }),
  };
}

async function sumsAreWhole(runtime: Runtime): Promise<boolean> {
  const session = await runtime.createSession(LARGEST_PRODUCTS);
  try {
    const data = new Uint8Array(ROWS * DEPTH).fill(LARGEST_INPUT);
    const x: Tensor = { type: 'uint8', dims: [ROWS, DEPTH], data };
    const { y } = await session.run({ x });
    return Array.from<unknown>(y?.data ?? []).every((sum) => sum === DEPTH * LARGEST_INPUT * LARGEST_WEIGHT);
  } finally {
    await session.release();
  }
}
