import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadError, OrtError, runError } from './errors.js';
import { tensorInfo, writeModel } from './onnx-writer.js';
import { doubling, floats, identity } from './testing/graphs.js';
import { describeRuntimes, rejection } from './testing/runtimes.js';
import type { RunOptions, Session, Tensor } from './types.js';

describe('codes', () => {
  it.each([
    [5, 'ENGINE_ERROR', 'device_failed', 'device_failed'],
    [11, 'EP_FAIL', 'device_failed', 'device_failed'],
    [6, 'Failed to allocate memory for requested buffer of size 8', 'device_failed', 'device_failed'],
    [1, 'CUDA failure 2: out of memory', 'device_failed', 'device_failed'],
    [1, 'CUDA failure 100: no CUDA-capable device is detected', 'device_unavailable', 'inference_failed'],
    [2, 'INVALID_ARGUMENT', 'model_invalid', 'inference_failed'],
    [3, 'NO_SUCHFILE', 'model_invalid', 'inference_failed'],
    [9, 'NOT_IMPLEMENTED', 'model_invalid', 'inference_failed'],
  ])('status %i (%s) is %s when loading, %s when running', (code, message, loading, running) => {
    expect(loadError(new OrtError(code, message))).toMatchObject({ code: loading, message });
    expect(runError(new OrtError(code, message))).toMatchObject({ code: running, message });
  });
});

describeRuntimes('models that cannot be loaded', ({ load }) => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-ort-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('a missing file', async () => {
    const error = await rejection(load(join(folder, 'none.onnx')));
    expect(error).toMatchObject({ code: 'model_invalid', message: expect.stringContaining('none.onnx') });
  });

  it('a truncated file', async () => {
    const path = join(folder, 'truncated.onnx');
    await writeFile(path, doubling().subarray(0, 60));
    expect(await rejection(load(path))).toMatchObject({ code: 'model_invalid' });
  });

  it.each([
    ['bytes that are no protobuf', Uint8Array.of(255, 254, 253)],
    ['no bytes', new Uint8Array(0)],
    [
      'an unknown operator',
      writeModel({
        inputs: [tensorInfo('x', 'float32', 1)],
        outputs: [tensorInfo('y', 'float32', 1)],
        nodes: [{ op: 'Swim', inputs: ['x'], outputs: ['y'] }],
      }),
    ],
  ])('%s', async (_, bytes) => {
    expect(await rejection(load(bytes))).toMatchObject({ code: 'model_invalid' });
  });
});

const MATRIX = writeModel({
  inputs: [tensorInfo('ids', 'int64', 'batch', 3), tensorInfo('scale', 'float32', '', 'm')],
  outputs: [tensorInfo('out', 'float32', 'batch', 'm')],
  nodes: [
    { op: 'Cast', inputs: ['ids'], outputs: ['cast'], attributes: { to: 1 } },
    { op: 'MatMul', inputs: ['cast', 'scale'], outputs: ['out'] },
  ],
});

describeRuntimes('wrong tensors', ({ load }) => {
  let session: Session;
  const ids: Tensor = { type: 'int64', dims: [1, 3], data: new BigInt64Array(3) };
  const scale: Tensor = { type: 'float32', dims: [3, 1], data: new Float32Array(3) };
  beforeAll(async () => {
    session = await load(MATRIX);
  });

  it.each<[string, Record<string, Tensor>, RunOptions, string]>([
    ['an unknown input', { ids, scale, mask: ids }, {}, 'input "mask" is unknown: expected one of "ids", "scale"'],
    ['a missing input', { ids }, {}, 'input "scale" is missing: expected float32[?, m]'],
    ['a wrong type', { ids: scale, scale }, {}, 'input "ids": expected int64[batch, 3], got float32'],
    ['a wrong rank', { ids: { ...ids, dims: [3] }, scale }, {}, 'input "ids": expected int64[batch, 3], got int64[3]'],
    [
      'a wrong size',
      { ids: { ...ids, dims: [3, 1] }, scale },
      {},
      'input "ids": expected int64[batch, 3], got int64[3, 1]',
    ],
    ['a negative size', { ids: { ...ids, dims: [-1, 3] }, scale }, {}, 'got dims that are no sizes: [-1, 3]'],
    ['too few elements', { ids: { ...ids, dims: [2, 3] }, scale }, {}, 'got 3 elements for int64[2, 3]'],
    ['another array', { ids: { ...ids, data: new Int32Array(3) }, scale }, {}, 'in a BigInt64Array, got a Int32Array'],
    ['an unknown output', { ids, scale }, { outputs: ['y'] }, 'output "y" is unknown: expected one of "out"'],
    [
      'memory of another type',
      { ids, scale },
      { preallocated: { out: ids } },
      'output "out": expected float32[batch, m]',
    ],
  ])('%s is named, with what was expected and what was got', async (_, feeds, options, message) => {
    const error = await rejection(session.run(feeds, options));
    expect(error).toMatchObject({ code: 'inference_failed', message: expect.stringContaining(message) });
  });

  it('sizes that do not fit each other fail in the operator, and the session goes on', async () => {
    const four: Tensor = { type: 'float32', dims: [4, 1], data: new Float32Array(4) };
    expect(await rejection(session.run({ ids, scale: four }))).toMatchObject({ code: 'inference_failed' });
    expect((await session.run({ ids, scale })).out?.dims).toEqual([1, 1]);
  });

  it('memory of another size than the output is refused', async () => {
    const doubles = await load(doubling());
    const wrong = rejection(doubles.run({ x: floats(1, 2) }, { preallocated: { y: floats(0, 0, 0) } }));
    expect(await wrong).toMatchObject({ code: 'inference_failed' });
  });

  it('strings with NUL would be cut, so they are refused', async () => {
    const strings = await load(identity('string'));
    const x: Tensor = { type: 'string', dims: [1, 1], data: ['a\0b'] };
    expect(await rejection(strings.run({ x }))).toMatchObject({ code: 'inference_failed' });
  });
});
