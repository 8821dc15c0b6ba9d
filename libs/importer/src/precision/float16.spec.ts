/** 16-bit floats: the answers of 32 bits nearly, and of 32 bits exactly where a session widens them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sessionModel } from '@shoal/models';
import {
  dataOf,
  type Graph,
  GraphBuilder,
  isHalf,
  saveModel,
  serialiseModel,
  validateModel,
  widenModel,
} from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensor } from '@shoal/onnxruntime';
import { beforeAll, expect, test } from 'vitest';
import { Matrix } from '../matrix.js';
import { precisionOf } from './dtype.js';
import { error, floats, gaussian } from './weights.testing.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

/** Weights that 16 bits hold. */
const halves = (length: number, seed: number) =>
  gaussian(length, seed).map((value) => Math.round(value * 2 ** 8) / 2 ** 12);

const made = (dtype: string) => {
  const precision = precisionOf(dtype, 'decoder');
  const g = new GraphBuilder({ name: 'half', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const x = g.input('x', 'float32', ['n', 64]);
  const past = g.input('past.0', 'float32', ['n', 64]);
  const hidden = precision.linear(g, x, 'w', new Matrix(64, 64, () => halves(4096, 5)), halves(64, 6));
  const capped = g.op('Max', [g.op('Tanh', [hidden]), g.scalar(-1e9)]);
  const [values = '', ids = ''] = g.ops('TopK', [capped, g.ints([3])], 2);
  g.output('y', capped, 'float32', ['n', 64]);
  g.output('values', values, 'float32', ['n', 3]);
  g.output('ids', ids, 'int64', ['n', 3]);
  g.output('present.0', g.op('Add', [past, hidden]), 'float32', ['n', 64]);
  const model = g.build();
  return precision.finish?.(model) ?? model;
};

const answersOf = async (source: string | Uint8Array, past: Tensor) => {
  const session = await runtime.createSession(source);
  const outputs = await session.run({ x: floats([2, 64], gaussian(128, 7)), 'past.0': past });
  await session.release();
  return outputs;
};

test('the answers are those of 32 bits, of the same types; only the cache is narrow as well', async () => {
  const model = made('fp16');
  validateModel(model);
  expect(model.graph.outputs.map(({ type }) => type)).toEqual(['float32', 'float32', 'int64', 'float16']);
  const cache: Tensor = { type: 'float16', dims: [2, 64], data: new Uint16Array(128) };
  const half = await answersOf(serialiseModel(model), cache);
  const whole = await answersOf(serialiseModel(made('fp32')), floats([2, 64]));
  for (const name of ['y', 'values']) {
    const [a, b] = [half, whole].map((outputs) => outputs[name]!.data as Float32Array);
    expect(error(a!, b!)).toBeLessThan(2e-3);
    expect(a).not.toEqual(b);
  }
});

test('a session on the CPU computes in 32 bits: the same answers to the bit', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'shoal-half-')), 'model.onnx');
  saveModel(made('fp16'), path);
  const wide = sessionModel(path, 'cpu');
  expect(wide).toBeInstanceOf(Uint8Array);
  expect(await answersOf(wide, floats([2, 64]))).toEqual(
    await answersOf(serialiseModel(made('fp32')), floats([2, 64])),
  );
  expect(sessionModel(path, 'cuda')).toBe(path);
  saveModel(made('int4'), path);
  expect(sessionModel(path, 'cpu')).toBe(path);
  rmSync(dirname(path), { recursive: true });
});

test('weights that are only stored in 16 bits stay as they are', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'shoal-stored-')), 'model.onnx');
  const g = new GraphBuilder({ name: 'stored', opset: 21, irVersion: 10 });
  const x = g.input('x', 'float32', ['n', 2]);
  const stored = g.constant('w', 'float16', [2, 2], dataOf(Uint16Array.of(0x3c00, 0, 0, 0x3c00)));
  g.output('y', g.op('MatMul', [x, g.op('Cast', [stored], { to: 1 })]), 'float32', ['n', 2]);
  saveModel(g.build(), path);
  expect(sessionModel(path)).toBe(path);
  rmSync(dirname(path), { recursive: true });
});

test('branches are widened too; inputs and outputs of 16 bits stay so', async () => {
  const branch = (name: string, op: string): Graph => {
    const [w, y] = [`${name}.w`, `${name}.y`];
    // x is a value of the graph around it.
    const node = { name, op, domain: '', inputs: ['x', w], outputs: [y], attributes: new Map(), extra: [] };
    const weight = { type: 'float16' as const, dims: [2], data: dataOf(Uint16Array.of(0x4000, 0x4200)) };
    const outputs = [{ name: y, type: 'float16' as const, shape: [2], extra: [] }];
    return {
      name,
      nodes: [node],
      inputs: [],
      outputs,
      valueInfos: [],
      initializers: new Map([[w, weight]]),
      extra: [],
    };
  };
  const g = new GraphBuilder({ name: 'branches', opset: 21, irVersion: 10 });
  g.input('x', 'float16', [2]);
  const which = g.input('which', 'bool', []);
  const chosen = g.op('If', [which], {
    then_branch: { type: 'graph', value: branch('then', 'Mul') },
    else_branch: { type: 'graph', value: branch('else', 'Add') },
  });
  g.output('y', chosen, 'float16', [2]);
  const model = g.build();
  expect(isHalf(model)).toBe(true);
  const run = async (bytes: Uint8Array, then: boolean) => {
    const session = await runtime.createSession(bytes);
    const { y } = await session.run({
      x: { type: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xbe00) },
      which: { type: 'bool', dims: [], data: Uint8Array.of(Number(then)) },
    });
    await session.release();
    return y;
  };
  const halves = [await run(serialiseModel(model), true), await run(serialiseModel(model), false)];
  widenModel(model);
  validateModel(model);
  expect(isHalf(model)).toBe(false);
  const wide = serialiseModel(model);
  expect([await run(wide, true), await run(wide, false)]).toEqual(halves);
  expect(halves[0]).toMatchObject({ type: 'float16', data: Uint16Array.of(0x4000, 0xc480) });
});
