/** Inputs of 8-bit products that are brought near to each other: the product stays what it was, and rounding costs less. */
import { dataOf, GraphBuilder, type Model, serialiseModel, type Value } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { Matrix } from '../matrix.js';
import { precisionOf } from './dtype.js';
import { foldIntoNorms } from './fold-norms.js';
import { prepared } from './row-inputs.js';
import type { RowInputs, Tuning } from './types.js';
import { error, floats, gaussian } from './weights.testing.js';

const [ROWS, WIDTH, OUT] = [24, 64, 40];

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const bias = gaussian(OUT, 2);
/** A few inputs are far larger than the others, and one is always about 20. */
const sizes = gaussian(WIDTH, 3).map((value, n) => (n % 16 === 0 ? 12 : 1) * Math.exp(0.3 * value));
/** What large inputs are multiplied by is small, as in transformers. */
const values = gaussian(OUT * WIDTH, 1).map((value, at) => value / sizes[at % WIDTH]!);
const centres = sizes.map((_, n) => (n === 5 ? 20 : 0));
const inputs: RowInputs = { factors: sizes.map((size) => 1 / size), offsets: centres, means: centres };
const x = gaussian(ROWS * WIDTH, 4);
const weight = () => new Matrix(OUT, WIDTH, () => values);

/** x → norm → product; others read the norm too where `shared`. */
function graphOf(product: (g: GraphBuilder, x: Value) => Value, shared = false): Model {
  const g = new GraphBuilder({ name: 'product', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const gain = g.constant('norm.gain', 'float32', [WIDTH], dataOf(sizes));
  const shift = g.constant('norm.shift', 'float32', [WIDTH], dataOf(centres));
  const normed = g.op('LayerNormalization', [g.input('x', 'float32', ['n', WIDTH]), gain, shift], { axis: -1 });
  g.output('y', product(g, normed), 'float32', ['n', OUT]);
  if (shared) g.output('z', g.op('Relu', [normed]), 'float32', ['n', WIDTH]);
  return g.build();
}

async function run(model: Model): Promise<Float32Array> {
  const session = await runtime.createSession(serialiseModel(model));
  try {
    return (await session.run({ x: floats([ROWS, WIDTH], x) })).y!.data as Float32Array;
  } finally {
    await session.release();
  }
}

/** In floats, by hand. */
const product = (ready: RowInputs) => (g: GraphBuilder, normed: Value) => {
  const near = prepared(g, normed, 'w', { weight: weight(), bias }, ready);
  const w = g.constant('w.transposed', 'float32', [WIDTH, OUT], near.weight.transposed);
  return g.op('Add', [g.op('MatMul', [near.x, w]), g.constant('w.bias', 'float32', [OUT], near.bias!)]);
};
const linear = (dtype: string, tuning: Tuning) => {
  const precision = precisionOf(dtype, 'encoder', tuning);
  const model = (shared = false) => graphOf((g, normed) => precision.linear(g, normed, 'w', weight(), bias), shared);
  return (shared = false) => precision.finish?.(model(shared)) ?? model(shared);
};
const operators = ({ graph }: Model) => graph.nodes.map(({ op }) => op);

describe.each([
  ['factors and offsets', inputs],
  ['factors', { factors: inputs.factors }],
  ['offsets', { offsets: inputs.offsets }],
])('%s', (_, ready) => {
  test('leave the product in floats as it is', async () => {
    expect(error(await run(graphOf(product(ready))), await run(graphOf(product({}))))).toBeLessThan(1e-5);
  });

  test.each([false, true])('become the gain and bias of a norm (read by others too: %j)', async (shared) => {
    const folded = foldIntoNorms(graphOf(product(ready), shared));
    expect(operators(folded).filter((op) => op === 'LayerNormalization')).toHaveLength(shared ? 2 : 1);
    expect(operators(folded).filter((op) => op === 'Mul')).toEqual([]);
    expect(operators(folded).filter((op) => op === 'Add')).toHaveLength(1);
    expect(error(await run(folded), await run(graphOf(product({}))))).toBeLessThan(1e-5);
  });
});

test('behind anything but a norm they stay operators', () => {
  const model = graphOf((g, normed) => product(inputs)(g, g.op('Relu', [normed])));
  expect(operators(foldIntoNorms(model)).filter((op) => op === 'Mul' || op === 'Add')).toHaveLength(3);
});

test('8-bit products of inputs that differ in size lose a fraction of what they lose otherwise', async () => {
  const exact = await run(linear('fp32', {})());
  const plain = error(await run(linear('int8', {})()), exact);
  const smoothed = error(await run(linear('int8', { inputs: () => inputs })()), exact);
  expect(plain).toBeGreaterThan(0.004);
  expect(smoothed).toBeLessThan(0.5 * plain);
});

test('a product may stay in floats', async () => {
  const floats32 = linear('int8', { inputs: () => 'float32' })();
  expect(operators(floats32)).not.toContain('MatMulIntegerToFloat');
  expect(error(await run(floats32), await run(linear('fp32', {})()))).toBe(0);
});

test('fewer levels below 0 than above it cost nothing where inputs are hardly ever negative', async () => {
  const positive = (dtype: string, tuning: Tuning) => {
    const precision = precisionOf(dtype, 'encoder', tuning);
    return graphOf((g, normed) => precision.linear(g, g.op('Gelu', [normed]), 'w', weight(), bias));
  };
  const exact = await run(positive('fp32', {}));
  const errors = [];
  for (const zeroPoint of [128, 16]) {
    errors.push(error(await run(positive('int8', { inputs: () => ({ zeroPoint }) })), exact));
  }
  expect(errors[1]).toBeLessThan(0.8 * errors[0]!);
});

test('what rounded weights make of the mean of inputs is taken back by the bias', async () => {
  // Nothing but the mean comes in.
  const g = () => {
    const builder = new GraphBuilder({ name: 'mean', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
    return { builder, x: builder.input('x', 'float32', ['n', WIDTH]) };
  };
  const means = gaussian(WIDTH, 8).map((value) => Math.round(16 * value));
  const ends = means.map((value, n) => (n === 0 ? 127 : n === 1 ? -127 : value));
  const answer = async (dtype: string, tuning: Tuning) => {
    const { builder, x: input } = g();
    builder.output('y', precisionOf(dtype, 'encoder', tuning).linear(builder, input, 'w', weight(), bias), 'float32', [
      'n',
      OUT,
    ]);
    const session = await runtime.createSession(serialiseModel(builder.build()));
    const { y } = await session.run({ x: floats([1, WIDTH], ends) });
    await session.release();
    return y!.data as Float32Array;
  };
  const exact = await answer('fp32', {});
  expect(error(await answer('int8', {}), exact)).toBeGreaterThan(1e-4);
  expect(error(await answer('int8', { inputs: () => ({ means: ends }) }), exact)).toBeLessThan(1e-5);
});
