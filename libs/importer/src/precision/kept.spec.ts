/** Matrices that came in blocks: the graph has their bits, whatever was done with their rows. */
import { GraphBuilder, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { dequantise, type KeptBlocks, keptOf } from '../kept-blocks.js';
import { Matrix, stackRows } from '../matrix.js';
import { precisionOf } from './dtype.js';
import { type BlockFormat, quantiseBlocks } from './quantise-blocks.js';
import type { Precision } from './types.js';
import { gaussian } from './weights.testing.js';

const [ROWS, COLUMNS] = [24, 80];

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const FORMATS: readonly BlockFormat[] = ([4, 8] as const).flatMap((bits) =>
  ([16, 32, 64, 128, 256] as const).flatMap((block) =>
    [true, false].map((symmetric): BlockFormat => ({ bits, block, symmetric })),
  ),
);

function kept(seed: number, format: BlockFormat, rows = ROWS): KeptBlocks {
  return keptOf(rows, COLUMNS, format, quantiseBlocks(gaussian(rows * COLUMNS, seed), rows, COLUMNS, format));
}

function product(precision: Precision, weight: Matrix): Model {
  const g = new GraphBuilder({ name: 'product', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['rows', weight.columns]);
  g.output('y', precision.linear(g, x, 'w', weight), 'float32', ['rows', weight.rows]);
  return g.build();
}

async function run(model: Model, x: Float32Array): Promise<Float32Array> {
  const session = await runtime.createSession(serialiseModel(model));
  const { y } = await session.run({ x: { type: 'float32', dims: [x.length / COLUMNS, COLUMNS], data: x } });
  const copy = Float32Array.from(y!.data as Float32Array);
  await session.release();
  return copy;
}

function largest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, n) => Math.abs(value - b[n]!)));
}

describe.each(FORMATS)('$bits bits in blocks of $block, symmetric: $symmetric', (format) => {
  const blocks = kept(1, format);
  const x = gaussian(3 * COLUMNS, 2);

  test('a product is the one of the matrix in floats', async () => {
    const floats = await run(product(precisionOf('fp32', 'decoder'), Matrix.ofBlocks(blocks)), x);
    const own = await run(product(precisionOf('kept-l0', 'decoder'), Matrix.ofBlocks(blocks)), x);
    // 8 bits are multiplied by activations of 8 bits.
    expect(largest(own, floats)).toBeLessThan(format.bits === 4 ? 1e-4 : 0.2);
  });

  test('rows picked and stacked are those of the floats, in blocks still', () => {
    const a = Matrix.ofBlocks(blocks).pickRows(8, (row) => ROWS - 1 - 2 * row);
    const stacked = stackRows([a, Matrix.ofBlocks(kept(3, format, 16))]);
    expect(stacked.kept?.format).toEqual(format);
    expect(dequantise(stacked.kept!)).toEqual(stacked.read());
    expect(stacked.read().subarray(0, COLUMNS)).toEqual(dequantise(blocks).subarray((ROWS - 1) * COLUMNS));
  });

  test('columns in another order are found by what is multiplied', async () => {
    const order = Uint32Array.from({ length: COLUMNS }, (_, n) => (n * 27 + 5) % COLUMNS);
    const weight = Matrix.ofBlocks({ ...blocks, order });
    const floats = await run(product(precisionOf('fp32', 'decoder'), weight), x);
    const own = await run(product(precisionOf('kept-l0', 'decoder'), weight), x);
    expect(largest(own, floats)).toBeLessThan(format.bits === 4 ? 1e-4 : 0.2);
    expect(weight.read()[order[1]!]).toBe(dequantise(blocks)[1]);
  });
});

test('blocks of different forms, or of different orders, are not stacked; their floats are', () => {
  const four = { bits: 4, block: 32, symmetric: true } as const;
  const order = (step: number) => Uint32Array.from({ length: COLUMNS }, (_, n) => (n * step) % COLUMNS);
  const others: KeptBlocks[] = [
    kept(2, { ...four, block: 64 }),
    kept(2, { ...four, bits: 8 }),
    kept(2, { ...four, symmetric: false }),
    { ...kept(2, four), order: order(27) },
  ];
  for (const other of others) {
    const stacked = stackRows([Matrix.ofBlocks(kept(1, four)), Matrix.ofBlocks(other)]);
    expect(stacked.kept).toBeUndefined();
    expect(stacked.read().subarray(ROWS * COLUMNS)).toEqual(dequantise(other));
  }
  const ordered = (step: number) => Matrix.ofBlocks({ ...kept(1, four), order: order(step) });
  expect(stackRows([ordered(27), ordered(27)]).kept).toBeDefined();
  expect(stackRows([ordered(27), ordered(29)]).kept).toBeUndefined();
  expect(
    stackRows([Matrix.ofBlocks(kept(1, four)), new Matrix(1, COLUMNS, () => new Float32Array(COLUMNS))]).kept,
  ).toBe(undefined);
});

test('a dtype keeps what has as many bits as it, or fewer, and is its own name', () => {
  const keeps = (dtype: string, bits: 4 | 8) =>
    precisionOf(dtype, 'decoder').keeps?.(Matrix.ofBlocks(kept(1, { bits, block: 32, symmetric: true }))) ?? false;
  expect(['kept', 'int8', 'int4', 'fp32', 'fp16'].map((dtype) => [keeps(dtype, 8), keeps(dtype, 4)])).toEqual([
    [true, true],
    [true, true],
    [false, true],
    [false, false],
    [false, false],
  ]);
  expect(precisionOf('kept', 'decoder').name).toBe('kept');
  expect(precisionOf('kept-l0', 'decoder').name).toBe('kept-l0');
  expect(() => precisionOf('kept-b32', 'decoder')).toThrow('is not one of');
});

test('what is kept by another dtype has the bits that rounding gave it the first time', () => {
  const format = { bits: 4, block: 128, symmetric: false } as const;
  const blocks = kept(1, format);
  const own = product(precisionOf('int4', 'decoder'), Matrix.ofBlocks(blocks)).graph.initializers;
  expect(own.get('w.int4')!.data.bytes()).toEqual(blocks.data());
  expect(own.get('w.zero_points')!.data.bytes()).toEqual(blocks.zeroPoints!());
  const scales = own.get('w.scales')!.data.bytes();
  expect(new Float32Array(scales.buffer, scales.byteOffset, scales.length / 4)).toEqual(blocks.scales());
});
