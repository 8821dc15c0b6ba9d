import { type ElementType, ShoalError, type TensorSpec, type WireOutput, type WireTensor } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { createModelFace } from '../model-face.js';
import { loadRunner } from '../runner.js';
import { fakeModel, fakeSession, SAME_SHAPE } from '../testing/fake-model.js';
import type { Model } from '../types.js';

const spec = (name: string, type: string, ...shape: (number | string)[]): TensorSpec => ({ name, type, shape });

function model(inputs: readonly TensorSpec[], more: Partial<Model> = {}): Model {
  const outputs = [spec('y', 'float32', 'batch', 2), spec('n', 'int64', 'batch')];
  return fakeModel({ task: 'tensors', text: null, maxTokens: null, inputs, outputs, ...more });
}

const MIXED = model([spec('x', 'float32', 'batch', 2), spec('i', 'int64', 'batch')]);

async function encode(of: Model, input: unknown, parameters: unknown = {}) {
  return await (await createModelFace(of)).encode({ input, parameters });
}

async function faults(of: Model, input: unknown, parameters: unknown = {}): Promise<Record<string, string>> {
  const error: unknown = await encode(of, input, parameters).catch((thrown: unknown) => thrown);
  if (!(error instanceof ShoalError)) throw new Error('expected a ShoalError');
  expect(error.code).toBe('invalid_request');
  return Object.fromEntries(error.faults.map(({ path, message }) => [path, message]));
}

/** One tensor of one type through encode and present. */
async function roundTrip(type: ElementType, input: unknown, encoding = 'json'): Promise<unknown> {
  const one = model([{ name: 'x', type, shape: ['...'] }], { batchable: false });
  const face = await createModelFace(one);
  const { items, parameters } = await face.encode({ input: { x: input }, parameters: { encoding } });
  const item = items[0]!;
  if (item.kind !== 'tensors') throw new Error('expected tensors');
  const { output } = face.present({ parameters, array: false }, [{ output: item }]);
  return (output as Record<string, unknown>).x;
}

test.each([
  ['float32', [0.1, -2, 'NaN', 'Infinity', '-Infinity']],
  ['float64', [0.1, 1e300, 'NaN', '-Infinity', 0]],
  ['float16', [0.5, -2, 65_504, 'NaN', 'Infinity']],
  ['bfloat16', [0.5, -2, 1, 'NaN', 'Infinity']],
  ['int8', [-128, 127]],
  ['int16', [-32_768, 32_767]],
  ['int32', [-(2 ** 31), 2 ** 31 - 1]],
  ['int64', ['-9223372036854775808', '9223372036854775807']],
  ['uint8', [0, 255]],
  ['uint16', [0, 65_535]],
  ['uint32', [0, 2 ** 32 - 1]],
  ['uint64', ['0', '18446744073709551615']],
  ['bool', [true, false]],
  ['string', ['', 'é']],
] as const)('%s values are shown as they were given', async (type, data) => {
  const shape = [data.length];
  expect(await roundTrip(type, data)).toEqual({ type, shape, data });
  expect(await roundTrip(type, { type, shape: [data.length, 1], data })).toMatchObject({ shape: [data.length, 1] });
});

test('base64 is little-endian bytes, both ways', async () => {
  const base64 = Buffer.from(Float32Array.of(1, -0.5).buffer).toString('base64');
  expect(await roundTrip('float32', { shape: [2, 1], base64 })).toEqual({
    type: 'float32',
    shape: [2, 1],
    data: [[1], [-0.5]],
  });
  expect(await roundTrip('float32', [1, -0.5], 'base64')).toEqual({ type: 'float32', shape: [2], base64 });
});

test('a scalar, safe integers for int64, and 0 and 1 for bool are accepted', async () => {
  expect(await roundTrip('int64', 7)).toEqual({ type: 'int64', shape: [], data: '7' });
  expect(await roundTrip('bool', [1, 0])).toMatchObject({ data: [true, false] });
});

test('rows count 64 tokens each and shapes come from the nesting', async () => {
  const { items, tokens } = await encode(MIXED, [
    { x: [[1, 2]], i: ['3'] },
    {
      x: [
        [1, 2],
        [3, 4],
      ],
      i: [1, 2],
    },
  ]);
  expect(tokens).toEqual([64, 128]);
  expect(items[1]).toMatchObject({ tensors: { x: { type: 'float32', dims: [2, 2] }, i: { dims: [2] } } });
});

test('missing and unknown names, and an output that is not there, are faults with their path', async () => {
  expect(await faults(MIXED, { x: [[1, 2]], j: 1 }, { outputs: ['y', 'z'] })).toEqual({
    'parameters.outputs[1]': "the graph's outputs are y, n",
    'input.j': "unknown input; the graph's are x, i",
    'input.i': 'required: int64 of shape [batch]',
  });
});

test.each(['constructor', 'toString', 'nan'])('the text %j is no float', async (text) => {
  expect(await faults(MIXED, { x: [[1, text]], i: [1] })).toHaveProperty(['input.x[0][1]']);
});

test('ranks, fixed dimensions, ragged lists and values out of range are faults with their path', async () => {
  const bad = [
    { x: [1, 2], i: [1] },
    { x: [[1, 2, 3]], i: [1] },
    { x: [[1, 2], [3]], i: [1, 1.5] },
    { x: { data: [1, 2], type: 'float64' }, i: ['9223372036854775808'] },
    { x: { data: [1, 2, 3], shape: [1, 2] }, i: { shape: [1], base64: 'AAAA' } },
    { x: [[1, null]], i: [1] },
    { x: [], i: [] },
  ];
  const found = await faults(MIXED, bad);
  expect(Object.keys(found)).toEqual([
    'input[0].x',
    'input[1].x',
    'input[2].x[1]',
    'input[2].i[1]',
    'input[3].x.type',
    'input[3].i[0]',
    'input[4].x.data',
    'input[4].i.base64',
    'input[5].x[0][1]',
    'input[6].x',
  ]);
  expect(found['input[1].x']).toBe('has shape [1, 3]; the graph takes [batch, 2]');
});

test('a named dimension has one size in all inputs of an item', async () => {
  expect(await faults(MIXED, { x: [[1, 2]], i: [1, 2] })).toEqual({
    'input.i': 'has 2 in dimension 0 (batch) where x has 1',
  });
});

test('results are estimated from the sizes that the inputs give', async () => {
  const wide = model([spec('x', 'float32', 'n', 1)], { outputs: [spec('y', 'float32', 'n', 'n')], batchable: false });
  const { resultBytes } = await encode(wide, { x: [[1], [2], [3]] });
  expect(resultBytes).toBe(64 + 9 * 4);
  const huge = model([spec('x', 'float32', 'n', 1)], { outputs: [spec('y', 'float32', 'n', 4_000_000)] });
  await expect(encode(huge, { x: [[1]] })).rejects.toMatchObject({ code: 'result_too_large' });
});

const float = (dims: number[], ...values: number[]): WireTensor => {
  return { type: 'float32', dims, data: new Uint8Array(Float32Array.from(values).buffer) };
};
const row = (x: WireTensor, outputs: readonly string[] | null = null) => {
  return { item: { kind: 'tensors' as const, tensors: { x } }, parameters: { outputs, encoding: 'json' } };
};

test('items are joined along the first dimension and their outputs taken apart again', async () => {
  const session = fakeSession(({ x }) => ({
    y: { ...x!, data: (x!.data as Float32Array).map((value) => value * 2) },
    names: { type: 'string', dims: [3], data: ['a', 'b', 'c'] },
  }));
  const runner = loadRunner(model([spec('x', 'float32', 'batch', 2)]), session, SAME_SHAPE);
  const outputs = await runner.run([row(float([2, 2], 1, 2, 3, 4)), row(float([1, 2], 5, 6), ['y'])]);
  expect(session.feeds[0]!.x).toEqual({ type: 'float32', dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  expect(outputs).toEqual([
    {
      kind: 'tensors',
      tensors: { y: float([2, 2], 2, 4, 6, 8), names: { type: 'string', dims: [2], data: ['a', 'b'] } },
    },
    { kind: 'tensors', tensors: { y: float([1, 2], 10, 12) } },
  ]);
});

test('items have a pass each until it is proved that they may share one', async () => {
  const session = fakeSession(({ x }) => ({ y: x! }));
  const runner = loadRunner(model([spec('x', 'float32', 'batch', 2)]), session);
  await runner.run([row(float([2, 2], 1, 2, 3, 4)), row(float([1, 2], 5, 6))]);
  expect(session.feeds.map(({ x }) => x!.dims)).toEqual([
    [2, 2],
    [1, 2],
  ]);
});

test('items of other inner dimensions or types do not share a pass', () => {
  const { groupKey } = loadRunner(
    MIXED,
    fakeSession(() => ({})),
    SAME_SHAPE,
  );
  const key = (x: WireTensor) => groupKey(row(x).item);
  expect(key(float([1, 2], 1, 2))).toBe(key(float([2, 2], 1, 2, 3, 4)));
  expect(key(float([1, 2], 1, 2))).not.toBe(key(float([1, 1], 1)));
  expect(key(float([1, 2], 1, 2))).not.toBe(key({ ...float([1, 2], 1, 2), type: 'int32' }));
});

test('outputs that do not have a row per row in are computed item by item', async () => {
  const session = fakeSession(({ x }) => ({
    y: { type: 'float32', dims: [x!.dims[0]! * 2], data: new Float32Array(x!.dims[0]! * 2) },
  }));
  const runner = loadRunner(model([spec('x', 'float32', 'batch', 1)]), session, SAME_SHAPE);
  const outputs = await runner.run([row(float([1, 1], 1)), row(float([2, 1], 2, 3))]);
  expect(outputs.map((output) => (output as Extract<WireOutput, { kind: 'tensors' }>).tensors.y!.dims)).toEqual([
    [2],
    [4],
  ]);
});

test('an output that is too large fails its own item', async () => {
  const session = fakeSession(() => ({ y: { type: 'uint8', dims: [9_000_000], data: new Uint8Array(9_000_000) } }));
  const [output] = await loadRunner(model([spec('x', 'float32', 1)], { batchable: false }), session).run([
    row(float([1], 1)),
  ]);
  expect(output).toMatchObject({ code: 'result_too_large' });
});

test("the card's example is a request that the graph takes", async () => {
  const face = await createModelFace(MIXED);
  const { request } = face.card('http://localhost:8080').example;
  expect(request).toEqual({ model: 'fake', input: { x: [[0, 0]], i: ['0'] } });
  await expect(face.encode(request as { input: unknown })).resolves.toMatchObject({ tokens: [64] });
});
