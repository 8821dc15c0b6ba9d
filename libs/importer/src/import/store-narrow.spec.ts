/** Weights are stored in 16 bits where nothing is lost by it, and only there. */
import { dataOf, GraphBuilder, serialiseModel } from '@shoal/onnx';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { storeNarrow } from './store-narrow.js';

const WIDTH = 128;

/** y = x · w */
function product(weights: Float32Array) {
  const g = new GraphBuilder({ name: 'product', opset: 21, irVersion: 10 });
  const w = g.constant('w', 'float32', [WIDTH, WIDTH], dataOf(weights));
  g.output('y', g.op('MatMul', [g.input('x', 'float32', ['n', WIDTH]), w]), 'float32', ['n', WIDTH]);
  return g.build();
}

const fill = (value: (n: number) => number) => Float32Array.from({ length: WIDTH * WIDTH }, (_, n) => value(n));
const sign = (n: number) => (n % 3 === 0 ? -1 : 1);

test.each([
  ['of 10 bits', fill((n) => (sign(n) * (1024 + (n % 1024))) / 2 ** (10 + (n % 14))), 'float16'],
  ['as small as float16 goes', fill((n) => sign(n) * (n % 1024) * 2 ** -24), 'float16'],
  ['as large as float16 goes', fill((n) => sign(n) * (n % 2 === 0 ? 65_504 : 0)), 'float16'],
  ['smaller than that, of 7 bits', fill((n) => sign(n) * (1 + (n % 128) / 128) * 2 ** -40), 'bfloat16'],
  ['larger than that, of 7 bits', fill((n) => sign(n) * (1 + (n % 128) / 128) * 2 ** 20), 'bfloat16'],
  ['of 11 bits', fill((n) => 1 + (n % 2048) / 2048), undefined],
  ['smaller than float16, of 9 bits', fill((n) => (n % 512) * 2 ** -32), undefined],
])('numbers %s answer the same to the bit', async (_, weights, type) => {
  const x = { type: 'float32', dims: [1, WIDTH], data: fill((n) => Math.sin(n)).slice(0, WIDTH) } as const;
  const runtime = await openRuntime();
  const answer = async (model: ReturnType<typeof product>) => {
    const session = await runtime.createSession(serialiseModel(model));
    const { y } = await session.run({ x });
    await session.release();
    return y!.data;
  };
  const whole = serialiseModel(product(weights)).length;
  const stored = storeNarrow(product(weights));
  const types = [...stored.graph.initializers.values()].map((tensor) => tensor.type);
  expect(types).toEqual([type ?? 'float32']);
  if (type !== undefined) expect(serialiseModel(stored).length).toBeLessThan(0.52 * whole);
  expect(await answer(stored)).toEqual(await answer(product(weights)));
});
