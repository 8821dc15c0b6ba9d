import type { ElementType } from '@shoal/contracts';
import { expect, it } from 'vitest';
import { tensorInfo, writeModel } from './onnx-writer.js';
import { doubling, floats, identity } from './testing/graphs.js';
import { describeRuntimes, rejection } from './testing/runtimes.js';
import type { Tensor } from './types.js';

/** Extremes of every type; small enough that V8 would keep them on its heap. */
const EXTREMES: Record<ElementType, Tensor['data']> = {
  float32: Float32Array.of(1.5, -0, Number.POSITIVE_INFINITY, 2 ** -149),
  float64: Float64Array.of(Math.PI, -Number.MAX_VALUE, Number.MIN_VALUE, Number.NEGATIVE_INFINITY),
  float16: Uint16Array.of(0x3c00, 0xfbff, 0x0001, 0x7c00),
  bfloat16: Uint16Array.of(0x3f80, 0xff7f, 0x0001, 0x7f80),
  int8: Int8Array.of(-128, 127, 0, 1),
  int16: Int16Array.of(-32768, 32767, 0, 1),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n, 1n),
  uint8: Uint8Array.of(0, 255, 1, 2),
  uint16: Uint16Array.of(0, 65535, 1, 2),
  uint32: Uint32Array.of(0, 2 ** 32 - 1, 1, 2),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n, 1n, 2n),
  bool: Uint8Array.of(0, 1, 1, 0),
  string: ['', 'otter', 'größer', '魚🐟'],
};

describeRuntimes('values', ({ load }, kind) => {
  const carried = Object.entries(EXTREMES).filter(([type]) => kind === 'c-api' || type !== 'bfloat16');

  it.each(carried as [ElementType, Tensor['data']][])('%s comes back as it went in', async (type, data) => {
    const session = await load(identity(type));
    expect(session.inputs).toEqual([{ name: 'x', type, shape: ['rows', ''] }]);
    const { y } = await session.run({ x: { type, dims: [2, 2], data } });
    expect(y).toEqual({ type, dims: [2, 2], data });
    expect(y?.data.constructor).toBe(data.constructor);
  });

  it.runIf(kind === 'worker-thread')('bfloat16 is refused where it cannot be carried', async () => {
    expect(await rejection(load(identity('bfloat16')))).toMatchObject({ code: 'model_invalid' });
  });

  it('shapes may change from run to run, down to nothing', async () => {
    const session = await load(identity('int64'));
    for (const dims of [
      [1, 3],
      [500, 7],
      [0, 3],
      [2, 0],
      [1, 1],
    ] as const) {
      const data = BigInt64Array.from({ length: dims[0] * dims[1] }, (_, i) => BigInt(i));
      expect((await session.run({ x: { type: 'int64', dims, data } })).y).toEqual({ type: 'int64', dims, data });
    }
  });

  it('an empty string tensor is a tensor', async () => {
    const session = await load(identity('string'));
    const x: Tensor = { type: 'string', dims: [0, 4], data: [] };
    expect((await session.run({ x })).y).toEqual(x);
  });

  it('a scalar has no dimensions', async () => {
    const model = writeModel({
      inputs: [tensorInfo('x', 'float64')],
      outputs: [tensorInfo('y', 'float64')],
      nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
    });
    const x: Tensor = { type: 'float64', dims: [], data: Float64Array.of(2.5) };
    expect((await (await load(model)).run({ x })).y).toEqual({
      type: 'float64',
      dims: [],
      data: Float64Array.of(-2.5),
    });
  });

  it('a view is read from where it starts', async () => {
    const session = await load(doubling());
    for (const length of [8, 800]) {
      const whole = Float32Array.from({ length }, (_, i) => i);
      const { y } = await session.run({ x: { type: 'float32', dims: [2], data: whole.subarray(3, 5) } });
      expect(y?.data).toEqual(Float32Array.of(6, 8));
    }
  });

  it('outputs are those asked for', async () => {
    const session = await load(doubling());
    expect(session.outputs.map(({ name }) => name)).toEqual(['y', 'z']);
    expect(await session.run({ x: floats(1, 2) }, { outputs: ['z'] })).toEqual({ z: floats(4, 8) });
  });

  it('a preallocated output is written in place and returned as it is', async () => {
    const session = await load(doubling());
    const z = floats(0, 0);
    const results = await session.run({ x: floats(1, 2) }, { outputs: [], preallocated: { z } });
    expect(results.z).toBe(z);
    expect(results).toEqual({ z: floats(4, 8) });
  });

  it('outputs stay what they were when later runs and the end of the session reuse memory', async () => {
    const session = await load(doubling());
    const { z: first } = await session.run({ x: floats(1, 2) });
    for (let i = 0; i < 20; i++) await session.run({ x: floats(i, i) });
    await session.release();
    expect(first).toEqual(floats(4, 8));
  });

  it('metadata is read where the implementation can', async () => {
    const model = writeModel({
      name: 'fish',
      inputs: [tensorInfo('x', 'float32', 1)],
      outputs: [tensorInfo('y', 'float32', 1)],
      nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
      metadata: { task: 'text-classification', labels: 'a,b' },
    });
    const { metadata } = await load(model);
    const custom = { task: 'text-classification', labels: 'a,b' };
    if (kind === 'worker-thread') expect(metadata).toBeUndefined();
    else expect(metadata).toEqual({ producer: 'shoal', graphName: 'fish', description: '', custom });
  });
});
