/** Models survive being read, edited and written; files that lie are refused. */
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float, GraphBuilder } from './build.js';
import { freshName, removeUnused, replaceValue } from './edit.js';
import { loadModel, parseModel } from './load.js';
import { bytes, number, text, varint } from './proto-bytes.testing.js';
import { floatOf, indexGraph, intOf, intsOf, sortNodes, stringOf } from './query.js';
import { saveModel, serialiseModel } from './save.js';
import { dataOf, lazyData } from './tensor-data.js';
import type { Model } from './types.js';
import { validateModel } from './validate.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-onnx-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** y = gelu(x · w) and its shape, with a large weight and a small one. */
function sample(weight = dataOf(Float32Array.from({ length: 64 * 64 }, (_, n) => n / 100))): Model {
  const g = new GraphBuilder({ name: 'sample', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['batch', 64]);
  const w = g.constant('w', 'float32', [64, 64], weight);
  const [y] = g.contrib('Gelu', [g.op('MatMul', [x, w])], 1);
  const [head = ''] = g.ops('Split', [y!, g.ints([32, 32])], 2, { axis: -1 });
  g.output('y', g.op('LeakyRelu', [head], { alpha: float(0.5) }), 'float32', ['batch', 32]);
  g.metadata.set('made for', 'a test');
  return g.build();
}

const weightOf = (model: Model) => Buffer.from(model.graph.initializers.get('w')!.data.bytes());

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'model_invalid') return error.message;
    throw error;
  }
  return '';
}

describe('a model', () => {
  test('is the same after it was written and read', () => {
    const model = sample();
    const again = parseModel(serialiseModel(model));
    expect(serialiseModel(again)).toEqual(serialiseModel(model));
    expect(again.opsets).toEqual(model.opsets);
    expect(again.metadata.get('made for')).toBe('a test');
    expect(again.graph.nodes.map(({ op, domain }) => `${domain}:${op}`)).toEqual(
      model.graph.nodes.map(({ op, domain }) => `${domain}:${op}`),
    );
  });

  test.each([false, true])('keeps its weights in a file (external data: %s)', (externalData) => {
    const path = join(folder, `whole-${externalData}.onnx`);
    const model = sample();
    saveModel(model, path, { externalData });
    const loaded = loadModel(path);
    expect(weightOf(loaded)).toEqual(weightOf(model));
    expect(serialiseModel(loaded)).toEqual(serialiseModel(model));
    if (externalData) expect(statSync(path).size).toBeLessThan(4096);
  });

  test('may be saved over itself', () => {
    const path = join(folder, 'self.onnx');
    saveModel(sample(), path, { externalData: true });
    const model = loadModel(path);
    saveModel(model, path, { externalData: true });
    expect(weightOf(loadModel(path))).toEqual(weightOf(sample()));
  });

  test('stores data that two tensors share once', () => {
    const path = join(folder, 'tied.onnx');
    const weight = dataOf(new Float32Array(64 * 64).fill(1));
    const model = sample(weight);
    model.graph.initializers.set('tied', { type: 'float32', dims: [64, 64], data: weight });
    saveModel(model, path, { externalData: true });
    expect(statSync(`${path}.data`).size).toBe(64 * 64 * 4);
    expect(loadModel(path).graph.initializers.size).toBe(model.graph.initializers.size);
  });

  test('makes a lazy weight when it is written, and not before', () => {
    let made = 0;
    const model = sample(
      lazyData(64 * 64 * 4, () => {
        made++;
        return new Float32Array(64 * 64).fill(2);
      }),
    );
    expect(made).toBe(0);
    saveModel(model, join(folder, 'lazy.onnx'), { externalData: true });
    expect(made).toBe(1);
  });

  test('places large tensors where they can be mapped into memory', () => {
    const path = join(folder, 'aligned.onnx');
    const model = sample();
    const large = dataOf(new Uint8Array(2 * 1024 * 1024));
    model.graph.initializers.set('large', { type: 'uint8', dims: [large.byteLength], data: large });
    saveModel(model, path, { externalData: true });
    const offsets = [...readFileSync(path, 'latin1').matchAll(/offset..(\d+)/gs)].map(([, offset]) => Number(offset));
    expect(offsets).toContain(64 * 1024);
  });

  test('keeps what is not understood', () => {
    const model = sample();
    // TrainingInfoProto and a doc string of the model.
    model.extra = [Uint8Array.of(0xa2, 0x01, 0), Uint8Array.of(0x32, 2, 0x68, 0x69)];
    expect(parseModel(serialiseModel(model)).extra).toEqual(model.extra);
  });
});

describe('typed fields', () => {
  test.each([
    ['float_data', 'float32', 1, [0x22, 4, 0, 0, 0x80, 0x3f], new Uint8Array(Float32Array.of(1).buffer)],
    ['int64_data', 'int64', 7, [0x3a, 1, 5], new Uint8Array(BigInt64Array.of(5n).buffer)],
    ['int32_data of a half float', 'float16', 10, [0x2a, 3, 0x80, 0x78, 0], Uint8Array.of(0, 0x3c)],
  ])('%s becomes bytes', (_, type, code, field, expected) => {
    const fields = type === 'float16' ? [0x2a, 2, 0x80, 0x78] : field;
    const tensor = [0x08, 1, 0x10, code, ...fields, 0x42, 1, 0x74];
    const bytes = Uint8Array.from([0x3a, tensor.length + 2, 0x2a, tensor.length, ...tensor]);
    expect(Uint8Array.from(parseModel(bytes).graph.initializers.get('t')!.data.bytes())).toEqual(expected);
  });

  const tensorOf = (dims: readonly number[], code: number, ...elements: number[]) =>
    parseModel(
      Uint8Array.from(
        bytes(
          7,
          bytes(5, [...dims.flatMap((dim) => number(1, dim)), ...number(2, code), ...text(8, 't'), ...elements]),
        ),
      ),
    ).graph.initializers.get('t')!.data;

  test.each([
    ['packed', (values: readonly bigint[]) => bytes(7, values.flatMap(varint))],
    ['one by one', (values: readonly bigint[]) => values.flatMap((value) => number(7, value))],
    ['in several pieces', (values: readonly bigint[]) => values.flatMap((value) => bytes(7, varint(value)))],
  ])('integers are the same %s', (_, encode) => {
    const values = [0n, 1n, -1n, 127n, 128n, 2n ** 49n - 1n, 2n ** 49n, 2n ** 63n - 1n, -(2n ** 63n)];
    const data = tensorOf([values.length], 7, ...encode(values));
    expect(new BigInt64Array(Uint8Array.from(data.bytes()).buffer)).toEqual(BigInt64Array.from(values));
    const ints = [0n, 1n, -1n, 2n ** 31n - 1n, -(2n ** 31n)];
    const narrow = tensorOf([ints.length], 6, ...encode(ints));
    expect(new Int32Array(Uint8Array.from(narrow.bytes()).buffer)).toEqual(Int32Array.from(ints, Number));
  });

  test('of another number of elements than the shape says are refused before there is room for these', () => {
    const huge = [2 ** 40];
    expect(failure(() => tensorOf(huge, 7, ...bytes(7, [1, 2])))).toContain('need 1099511627776 integers');
    expect(failure(() => tensorOf([1], 7, ...bytes(7, new Array(11).fill(0))))).toContain('need 1 integers');
    expect(failure(() => tensorOf(huge, 1, ...bytes(4, [0, 0, 0, 0])))).toContain('need 4398046511104');
    expect(failure(() => tensorOf([2], 7, ...bytes(7, [1, 2, 3])).bytes())).toContain('more integers');
    expect(failure(() => tensorOf([3], 7, ...bytes(7, [1, 2, 0x80])).bytes())).toContain('does not end');
    expect(failure(() => tensorOf([3], 7, ...bytes(7, [1, 0x80, 0])).bytes())).toContain('has 2 integers');
    expect(failure(() => tensorOf(new Array(65).fill(1), 7, ...bytes(7, [1])))).toContain('more than 64 dimensions');
  });

  test('of an attribute are refused where there are more than any model has', () => {
    const path = join(folder, 'ints.onnx');
    const size = 70_000_000;
    const levels = [[...varint(8 * 8 + 2), ...varint(size)]];
    for (const field of [5, 1, 7]) {
      const inner = levels[0]!;
      levels.unshift([...varint(field * 8 + 2), ...varint(inner.length + size), ...inner]);
    }
    writeFileSync(path, Uint8Array.from(levels[0]!));
    truncateSync(path, levels[0]!.length + size);
    expect(failure(() => loadModel(path))).toContain('it has more than 67108864 numbers in lists');
  });
});

describe('questions and edits', () => {
  test('producers, consumers and attributes', () => {
    const { graph } = sample();
    const index = indexGraph(graph);
    expect(index.producer('y')?.op).toBe('LeakyRelu');
    expect(index.consumers('w').map(({ op }) => op)).toEqual(['MatMul']);
    expect(intOf(index.producer('Split_out')!, 'axis', 0)).toBe(-1);
    expect(floatOf(index.producer('y')!, 'alpha', 0.01)).toBe(0.5);
    expect(intsOf(index.producer('y')!, 'axes')).toBeUndefined();
    expect(stringOf(index.producer('y')!, 'mode', 'none')).toBe('none');
    expect(failure(() => intOf(index.producer('y')!, 'alpha', 0))).toContain('is of type float');
  });

  test('what nothing needs is removed, and names stay unique', () => {
    const { graph } = sample();
    replaceValue(graph, 'Split_out', 'Gelu_out');
    removeUnused(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['MatMul', 'Gelu', 'LeakyRelu']);
    expect([...graph.initializers.keys()]).toEqual(['w']);
    expect(freshName(graph, 'w')).toBe('w_1');
  });

  test('nodes are sorted so that values are made before they are read', () => {
    const model = sample();
    model.graph.nodes.reverse();
    expect(failure(() => validateModel(model))).toContain('which nothing before it makes');
    sortNodes(model.graph);
    validateModel(model);
    model.graph.nodes[0]!.inputs[0] = 'y';
    expect(failure(() => sortNodes(model.graph))).toContain('circle');
  });

  test('validation names every problem', () => {
    const model = sample();
    model.graph.nodes[0]!.domain = 'example.org';
    model.graph.nodes[1]!.outputs[0] = 'w';
    model.graph.outputs.push({ name: 'nowhere', type: 'float32', shape: [], extra: [] });
    const message = failure(() => validateModel(model));
    expect(message).toContain('domain example.org, which is not imported');
    expect(message).toContain('w is made twice');
    expect(message).toContain('nothing makes the output nowhere');
  });
});

describe('external data', () => {
  const write = (name: string, change: (text: string) => string) => {
    const path = join(folder, `${name}.onnx`);
    saveModel(sample(), path, { externalData: true });
    writeFileSync(path, Buffer.from(change(readFileSync(path, 'latin1')), 'latin1'));
    return path;
  };
  const at = (name: string, location: string) => write(name, (text) => text.replaceAll(`${name}.onnx.data`, location));

  test.each([
    ['a', '../a.onnx.d', 'a path within'],
    ['b', '/etc/passwd', 'a path within'],
    ['c', 'x/../c.onnx', 'a path within'],
    ['d', 'c:\\d.onnx__', 'a path within'],
    ['e', 'e.onnx.da\0_', 'a path within'],
    ['f', 'f.onnx.dat_', 'missing'],
  ])('of model %s at %j is refused', (name, location, reason) => {
    expect(failure(() => loadModel(at(name, location)))).toContain(reason);
  });

  test('that is a link, or has other names, is refused', () => {
    for (const [name, make, reason] of [
      ['soft', symlinkSync, 'symbolic link'],
      ['hard', linkSync, 'hard links'],
    ] as const) {
      const path = write(name, (text) => text);
      const moved = join(folder, `${name}-outside`);
      writeFileSync(moved, readFileSync(`${path}.data`));
      rmSync(`${path}.data`);
      make(moved, `${path}.data`);
      expect(failure(() => loadModel(path))).toContain(reason);
    }
    const path = write('within', (text) => text.replaceAll('within.onnx.data', 'linked/w.o.data_'));
    mkdirSync(join(folder, 'outside'));
    symlinkSync(join(folder, 'outside'), join(folder, 'linked'));
    expect(failure(() => loadModel(path))).toContain('symbolic link');
  });

  test('that is shorter than the model says is refused', () => {
    const path = write('short', (text) => text);
    writeFileSync(`${path}.data`, 'x');
    expect(failure(() => loadModel(path))).toContain('which has 1');
  });

  test('at a memory address is refused', () => {
    const path = at('mem-addr', '*/_ORT_MEM_ADDR_/*');
    expect(failure(() => loadModel(path))).toContain('memory address');
  });

  test('with unknown keys is refused', () => {
    expect(failure(() => loadModel(write('keys', (text) => text.replaceAll('offset', 'basedi'))))).toContain('basedi');
  });

  test('of a model in memory is refused', () => {
    const path = write('memory', (text) => text);
    expect(failure(() => parseModel(readFileSync(path)))).toContain('cannot have');
  });
});

/** mulberry32: the same mutations in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('10,000 mutations of a model are each read or refused as model_invalid', () => {
  const path = join(folder, 'mutated.onnx');
  saveModel(sample(dataOf(new Float32Array(64 * 64))), path, { externalData: true });
  const original = readFileSync(path);
  const random = seeded(1);
  const pick = (n: number) => Math.floor(random() * n);
  let refused = 0;
  for (let n = 0; n < 10_000; n++) {
    let bytes = Buffer.from(original);
    for (let change = 0; change <= pick(4); change++) {
      const place = pick(bytes.length);
      const kind = pick(4);
      if (kind === 0) bytes[place] = pick(256);
      else if (kind === 1) bytes[place]! ^= 1 << pick(8);
      else if (kind === 2) bytes = bytes.subarray(0, place + 1);
      else bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(pick(bytes.length))]);
    }
    writeFileSync(path, bytes);
    const reason = failure(() => {
      const model = loadModel(path);
      validateModel(model);
      serialiseModel(model);
    });
    if (reason !== '') refused++;
  }
  expect(refused).toBeGreaterThan(5000);
});
