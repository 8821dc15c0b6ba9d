import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytes, externalTensor, model, number, tensorValue, text, varint } from './proto-bytes.testing.js';
import { type OnnxSignature, readSignature } from './signature.js';
import { skimModel } from './skim.js';
import { Reader } from './wire/reader.js';
import { withFile } from './wire/source.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-onnx-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: readonly number[] | Uint8Array): OnnxSignature {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, Uint8Array.from(content));
  return readSignature(path);
}

function failure(content: readonly number[] | Uint8Array): string {
  try {
    read(content);
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'model_invalid') return error.message;
    throw error;
  }
  return '';
}

const output = bytes(12, tensorValue('y', 7, ['batch']));
const SMALL = model([
  ...bytes(11, tensorValue('x', 1, ['batch', 3, null])),
  ...bytes(11, tensorValue('weight', 1, [3])),
  ...bytes(5, [...number(1, 3), ...number(2, 3), ...text(8, 'weight'), ...bytes(9, [1, 2, 3])]),
  ...output,
]);

test('inputs, outputs, operator sets and producer are read; initializers are not inputs', () => {
  expect(read(SMALL)).toEqual({
    irVersion: 8,
    producer: 'spec',
    opsets: { '': 17 },
    inputs: [{ name: 'x', type: 'float32', shape: ['batch', 3, '?'] }],
    outputs: [{ name: 'y', type: 'int64', shape: ['batch'] }],
    metadata: new Map(),
    externalFiles: [],
    externalBytes: new Map(),
  });
});

test('a shape that is not given is null, a scalar has no dimensions, a negative size is not known', () => {
  const unknown = [...text(1, 'u'), ...bytes(2, bytes(1, number(1, 11)))];
  const sequence = [...text(1, 's'), ...bytes(2, bytes(4, []))];
  const { inputs } = read(
    model([
      ...bytes(11, unknown),
      ...bytes(11, tensorValue('scalar', 9, [])),
      ...bytes(11, tensorValue('negative', 10, [-1])),
      ...bytes(11, sequence),
      ...output,
    ]),
  );
  expect(inputs).toEqual([
    { name: 'u', type: 'float64', shape: null },
    { name: 'scalar', type: 'bool', shape: [] },
    { name: 'negative', type: 'float16', shape: ['?'] },
    { name: 's', type: 'sequence', shape: null },
  ]);
});

test('external data is found in initializers, in attributes and in subgraphs', () => {
  const attribute = bytes(5, [...text(1, 'value'), ...bytes(5, externalTensor('', 'constant.bin')), ...number(20, 4)]);
  const subgraph = bytes(5, [...bytes(6, bytes(5, externalTensor('w', '../outside.bin'))), ...number(20, 5)]);
  const { externalFiles } = read(
    model([
      ...bytes(1, attribute),
      ...bytes(1, subgraph),
      ...bytes(5, externalTensor('a', 'weights.bin')),
      ...bytes(5, externalTensor('b', 'weights.bin')),
      ...output,
    ]),
  );
  expect(externalFiles).toEqual(['constant.bin', '../outside.bin', 'weights.bin']);
});

/** A model whose only initializer has 200 MB of zeros in one field, which take no room on the disk. */
function largeField(name: string, field: number): string {
  const size = 200_000_000;
  const head = [...number(1, size), ...number(2, 7), ...text(8, 'w'), ...varint(field * 8 + 2), ...varint(size)];
  const tensor = [...varint(5 * 8 + 2), ...varint(head.length + size), ...head];
  const graph = [...output, ...tensor];
  const opset = bytes(8, [...text(1, ''), ...number(2, 17)]);
  const path = join(folder, name);
  writeFileSync(path, Uint8Array.from([...opset, ...varint(7 * 8 + 2), ...varint(graph.length + size), ...graph]));
  truncateSync(path, statSync(path).size + size);
  return path;
}

test.each([
  ['raw_data', 9],
  ['float_data', 4],
  ['int32_data', 5],
  ['string_data', 6],
  ['int64_data', 7],
  ['double_data', 10],
  ['uint64_data', 11],
  ['a doc string', 12],
  ['a field that there is not', 99],
])('elements are skipped: 200 MB of %s cost a few reads', (_, field) => {
  withFile(largeField('large.onnx', field), (source) => {
    expect([...skimModel(new Reader(source)).initializers]).toEqual(['w']);
    expect(source.reads).toBeLessThan(4);
  });
});

test('more inputs, outputs or dimensions than any model has are refused', () => {
  const many = Buffer.from([...Array(10_001)].flatMap((_, n) => bytes(11, tensorValue(`x${n}`, 1, []))));
  const weights = [...Array(10_001)].flatMap((_, n) =>
    bytes(5, [...number(1, 0), ...number(2, 1), ...text(8, `w${n}`)]),
  );
  expect(failure(model([...many, ...weights, ...output]))).toContain('more than 10000 inputs or outputs');
  const deep = tensorValue('x', 1, new Array(65).fill(1));
  expect(failure(model([...bytes(11, deep), ...output]))).toContain('x has more than 64 dimensions');
});

test('nodes without end are refused', () => {
  const graph = Buffer.alloc(2 * 5_000_000, Buffer.from([1 * 8 + 2, 0]));
  const head = [...varint(7 * 8 + 2), ...varint(graph.length)];
  expect(failure(Buffer.concat([Buffer.from(head), graph]))).toContain('it has more than 4194304 messages');
});

test('a file cut off anywhere is refused, never misread', () => {
  for (let length = 0; length < SMALL.length; length++) expect(failure(SMALL.slice(0, length))).toContain('model.onnx');
});

test('a file with any one byte changed is read or refused', () => {
  for (let at = 0; at < SMALL.length; at++) {
    for (const value of [0, 0x7f, 0x80, 0xff]) failure(SMALL.with(at, value));
  }
});

test('a message that claims more than there is names the place', () => {
  expect(failure([...varint(7 * 8 + 2), ...varint(2n ** 62n)])).toContain('claims 4611686018427387904 bytes');
  expect(failure(Array.from({ length: 11 }, () => 0xff))).toContain('more than ten bytes');
  expect(failure([])).toContain('no graph');
  expect(failure(Buffer.from('this is not a model'))).toContain('not a usable ONNX file');
});

test('a graph nested without end is refused', () => {
  let graph: number[] = [];
  for (let i = 0; i < 100; i++) graph = bytes(1, bytes(5, bytes(6, graph)));
  expect(failure(model([...graph, ...output]))).toContain('nested');
});

test('a name of absurd length is refused', () => {
  expect(failure(model([...bytes(11, tensorValue('x'.repeat(5000), 1, [])), ...output]))).toContain('longer than');
});

test('a missing file is an invalid model', () => {
  expect(() => readSignature(join(folder, 'absent.onnx'))).toThrow(ShoalError);
});
