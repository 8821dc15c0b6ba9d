/** What each dtype makes of weights, multiplied by real ONNX Runtime sessions and compared with floats. */
import { GraphBuilder, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensor } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { Matrix } from '../matrix.js';
import { precisionOf } from './dtype.js';
import type { Precision } from './types.js';
import { error, floats, gaussian, seeded } from './weights.testing.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

interface Weights {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** `linear` and `head` of the identity, and `embedding` of all rows: the weight itself, as it was stored. */
async function stored(precision: Precision, { rows, columns, values }: Weights, bias?: Float32Array) {
  const g = new GraphBuilder({ name: 'stored', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['n', columns]);
  const ids = g.input('ids', 'int64', ['n', 1]);
  const weight = new Matrix(rows, columns, () => values);
  const table = new Matrix(rows, columns, () => values);
  g.output('linear', precision.linear(g, x, 'linear.weight', weight, bias), 'float32', ['n', rows]);
  g.output('embedding', precision.embedding(g, ids, 'table', table), 'float32', ['n', 1, columns]);
  g.output('head', precision.head(g, x, 'table', table), 'float32', ['n', rows]);
  const model = g.build();
  const bytes = serialiseModel(precision.finish?.(model) ?? model);
  const session = await runtime.createSession(bytes);
  const units = new Float32Array(columns * columns);
  for (let n = 0; n < columns; n++) units[n * (columns + 1)] = 1;
  const run = async (feeds: Record<string, Tensor>, output: string) =>
    (await session.run({ x: floats([1, columns]), ids: int64([0]), ...feeds }, { outputs: [output] }))[output]!
      .data as Float32Array;
  try {
    return {
      bytes: bytes.length,
      linear: transpose(await run({ x: floats([columns, columns], units) }, 'linear'), columns, rows),
      head: transpose(await run({ x: floats([columns, columns], units) }, 'head'), columns, rows),
      embedding: await run({ ids: int64(Array.from({ length: rows }, (_, n) => n)) }, 'embedding'),
    };
  } finally {
    await session.release();
  }
}

function int64(values: readonly number[]): Tensor {
  return { type: 'int64', dims: [values.length, 1], data: BigInt64Array.from(values, BigInt) };
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  return values.map((_, n) => values[(n % rows) * columns + Math.floor(n / rows)]!);
}

describe('gaussian weights', () => {
  const weights = { rows: 96, columns: 256, values: gaussian(96 * 256, 1) };

  // Bounds are what the format can do, and a little; plain rounding to the largest weight has 0.085 at int4.
  test.each([
    ['fp32', 'decoder', 1e-7],
    ['fp16', 'decoder', 4e-4],
    ['int8', 'decoder', 0.006],
    ['int8-b128', 'decoder', 0.008],
    ['int8-asym', 'decoder', 0.006],
    ['int4', 'decoder', 0.083],
    ['int4-b16', 'decoder', 0.071],
    ['int4-b64', 'decoder', 0.093],
    ['int4-b128', 'decoder', 0.101],
    ['int4-b256', 'decoder', 0.107],
    ['int4-asym', 'decoder', 0.08],
    ['int4-b128-asym', 'decoder', 0.099],
    ['int4-l0', 'decoder', 0.083],
    ['int8', 'encoder', 0.009],
    ['int4', 'encoder', 0.083],
  ] as const)('as %s for %ss come back within a relative error of %d', async (dtype, kind, bound) => {
    const { linear, head, embedding } = await stored(precisionOf(dtype, kind), weights);
    expect(error(linear, weights.values)).toBeLessThan(bound);
    expect(error(head, weights.values)).toBeLessThan(bound);
    expect(error(embedding, weights.values)).toBeLessThan(bound);
  });

  test('as int4 with 8 bits for the head: only the projections are coarse', async () => {
    const { linear, head, embedding } = await stored(precisionOf('int4-h8', 'decoder'), weights);
    expect(error(linear, weights.values)).toBeGreaterThan(0.05);
    expect(error(head, weights.values)).toBeLessThan(0.006);
    expect(error(embedding, weights.values)).toBeLessThan(0.006);
  });

  test('a bias is added, exactly', async () => {
    const bias = gaussian(96, 2);
    for (const [dtype, kind] of [
      ['fp32', 'decoder'],
      ['int4', 'decoder'],
      ['int8', 'decoder'],
      ['int8', 'encoder'],
    ] as const) {
      const zeros = { ...weights, values: new Float32Array(96 * 256) };
      const { linear } = await stored(precisionOf(dtype, kind), zeros, bias);
      expect(linear.every((value, n) => value === bias[Math.floor(n / 256)])).toBe(true);
    }
  });

  test('the integers of a head and the embedding that it is tied to are stored once', async () => {
    const { bytes } = await stored(precisionOf('int4', 'decoder'), weights);
    // The projection and the tied table: 4 bits a weight and 4 bytes a block of 32.
    const once = (96 * 256) / 2 + ((96 * 256) / 32) * 4;
    expect(bytes).toBeLessThan(2 * once + 2500);
  });
});

describe('weights that the format has', () => {
  /** Levels times a power of two for each block, the end of the range included: nothing has to be rounded. */
  const exact = (levels: readonly number[], columns: number, block: number): Weights => {
    const random = seeded(3);
    const rows = 24;
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let n = 0; n < columns; n++) {
        const scale = 2 ** (((row + Math.floor(n / block)) % 5) - 4);
        const level = n % block === 0 ? levels[0]! : levels[Math.floor(random() * levels.length)]!;
        values[row * columns + n] = level * scale;
      }
    }
    return { rows, columns, values };
  };
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

  test.each([
    ['int4', range(-8, 7), 32],
    ['int4-b64', range(-8, 7), 64],
    ['int4-b128', range(-8, 7).reverse(), 128],
    ['int4-asym', range(-3, 12).reverse(), 32],
    ['int8', range(-128, 127), 32],
    ['int8-b128', range(-128, 127).reverse(), 128],
  ] as const)('come back exactly: %s', async (dtype, levels, block) => {
    // 200 columns: the last block of each row is a part.
    const weights = exact(levels, 200, block);
    if (dtype === 'int4-asym') {
      // A zero point follows from both ends of the range.
      for (let n = 1; n < weights.values.length; n += 8) {
        const scale = 2 ** (((Math.floor(n / 200) + Math.floor((n % 200) / block)) % 5) - 4);
        weights.values[n] = -3 * scale;
      }
    }
    const { linear, head, embedding } = await stored(precisionOf(dtype, 'decoder'), weights);
    expect(embedding).toEqual(weights.values);
    // Units are rounded to 8 bits and back on their way through a product.
    expect(error(linear, weights.values)).toBeLessThan(1e-6);
    expect(error(head, weights.values)).toBeLessThan(1e-6);
  });

  test('come back exactly from 8-bit columns', async () => {
    const weights = exact(range(-127, 127), 100, 1000);
    const { linear } = await stored(precisionOf('int8', 'encoder'), weights);
    expect(error(linear, weights.values)).toBeLessThan(1e-6);
  });
});

describe('odd weights', () => {
  const dtypes = [
    ['int4', 'decoder'],
    ['int4-b128-asym', 'decoder'],
    ['int8', 'decoder'],
    ['int8-asym', 'decoder'],
    ['int8', 'encoder'],
  ] as const;

  test.each(dtypes)('%s for %ss: blocks of zeros stay zeros', async (dtype, kind) => {
    const weights = { rows: 8, columns: 160, values: new Float32Array(8 * 160) };
    const { linear, head, embedding } = await stored(precisionOf(dtype, kind), weights);
    for (const values of [linear, head, embedding]) expect(values.every((value) => value === 0)).toBe(true);
  });

  test.each(dtypes)('%s for %ss: huge and tiny ones stay numbers', async (dtype, kind) => {
    for (const size of [3e38, 1e-44]) {
      const values = gaussian(8 * 160, 4).map((value) => Math.max(-size, Math.min(size, value * size)));
      const { embedding } = await stored(precisionOf(dtype, kind), { rows: 8, columns: 160, values });
      expect(embedding.every(Number.isFinite)).toBe(true);
    }
  });

  test.each([1, 7, 33, 95])('rows of %d weights are padded', async (columns) => {
    const weights = { rows: 5, columns, values: gaussian(5 * columns, columns) };
    for (const dtype of ['int8', 'int8-asym', 'int8-b64', 'int4-b16-asym', 'int4']) {
      const { linear, head, embedding } = await stored(precisionOf(dtype, 'decoder'), weights);
      const bound = dtype.startsWith('int8') ? 0.01 : 0.12;
      for (const values of [linear, head, embedding]) expect(error(values, weights.values)).toBeLessThan(bound);
    }
  });

  test('numbers that 16 bits cannot hold are refused by name', async () => {
    const values = Float32Array.of(1, 2, 70_000, 4);
    await expect(stored(precisionOf('fp16', 'decoder'), { rows: 2, columns: 2, values })).rejects.toThrow(
      /linear\.weight.* holds 70000/,
    );
  });
});

test('8-bit products of a row are those of the row alone, however large the numbers beside it', async () => {
  const g = new GraphBuilder({ name: 'rows', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['n', 64]);
  const weight = new Matrix(48, 64, () => gaussian(48 * 64, 5));
  g.output('y', precisionOf('int8', 'encoder').linear(g, x, 'w', weight, gaussian(48, 6)), 'float32', ['n', 48]);
  const session = await runtime.createSession(serialiseModel(g.build()));
  const row = gaussian(64, 7);
  const product = async (...rows: Float32Array[]) => {
    const all = Float32Array.from(rows.flatMap((values) => [...values]));
    return ((await session.run({ x: floats([rows.length, 64], all) })).y!.data as Float32Array).slice(0, 48);
  };
  const alone = await product(row);
  for (const size of [0, 1e-38, 1e3, 3e37])
    expect(
      await product(
        row,
        row.map((value) => value * size),
      ),
    ).toEqual(alone);
  await session.release();
});

test('sums of the largest 8-bit products are whole on every processor', async () => {
  const precision = precisionOf('int8', 'encoder');
  const g = new GraphBuilder({ name: 'largest', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['n', 64]);
  const ones = new Matrix(16, 64, () => new Float32Array(16 * 64).fill(1));
  g.output('y', precision.linear(g, x, 'w', ones), 'float32', ['n', 16]);
  const session = await runtime.createSession(serialiseModel(g.build()));
  const { y } = await session.run({ x: floats([2, 64], new Float32Array(128).fill(1)) });
  await session.release();
  for (const sum of y!.data as Float32Array) expect(sum).toBeCloseTo(64, 2);
});

describe('dtypes', () => {
  test.each([
    ['int4', 'int4'],
    ['int4-b32', 'int4-b32'],
    ['int4-asym-b64', 'int4-b64-asym'],
    ['int4-l0-h8-asym-b128', 'int4-b128-asym-h8-l0'],
    ['int8-b64', 'int8-b64'],
  ])('%s makes the variant %s', (dtype, name) => {
    expect(precisionOf(dtype, 'encoder').name).toBe(name);
  });

  test.each(['int8-l0', 'int8-b128-asym-l0'])('%s is refused: every pass would unpack all weights', (dtype) => {
    for (const kind of ['encoder', 'decoder'] as const) {
      expect(() => precisionOf(dtype, kind)).toThrow(/many times slower than fp32: take int8, fp32 or int4-l0/);
    }
  });

  test.each(['', 'int5', 'fp32-b32', 'int4-b33', 'int4-b32-b64', 'int4-', 'INT4', 'bf16', 'int4 -b32', '__proto__'])(
    '%j is refused, with what there is',
    (dtype) => {
      expect(() => precisionOf(dtype, 'decoder')).toThrow(/--dtype .* is not one of: fp32, fp16, int8, int4 or kept/);
    },
  );
});
