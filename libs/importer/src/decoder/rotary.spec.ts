/** Tables of angles: stored for short contexts, computed in each pass for long ones. */
import { GraphBuilder, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Tensor } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { rotaryReader } from './rotary.js';
import type { Rotary } from './rotary-config.js';

const HEAD = 16;
/** Six of the eight pairs are turned. */
const ROTARY: Rotary = {
  frequencies: Float32Array.from({ length: 6 }, (_, pair) => 10_000 ** (-pair / 6)),
  scale: 1.25,
};

/** Cosines and sines of one head, by position. */
async function tablesOf(maxContext: number, positions: readonly number[], rotary = ROTARY) {
  const g = new GraphBuilder({ name: 'rotary', opset: 21, irVersion: 10 });
  const input = g.input('positions', 'int64', ['batch', 'sequence']);
  const shape = { heads: 1, headDim: HEAD, maxContext, positions: input };
  const lengths = () => g.input('lengths', 'int64', ['batch']);
  const { cos, sin } = rotaryReader(g, { ...shape, lengths })(rotary);
  g.output('cos', cos, 'float32', ['tokens', HEAD / 2]);
  g.output('sin', sin, 'float32', ['tokens', HEAD / 2]);
  const model = g.build();
  const session = await (await openRuntime()).createSession(serialiseModel(model));
  const int64 = (values: readonly number[], dims: readonly number[]): Tensor => {
    return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
  };
  const feeds = { positions: int64(positions, [1, positions.length]) };
  const outputs = await session.run(
    rotary.long ? { ...feeds, lengths: int64([Math.max(...positions) + 1], [1]) } : feeds,
  );
  await session.release();
  return { model, cos: outputs.cos!.data as Float32Array, sin: outputs.sin!.data as Float32Array };
}

function expected(positions: readonly number[], { frequencies, scale }: Rotary, of: (angle: number) => number) {
  return positions.flatMap((position) =>
    Array.from({ length: HEAD / 2 }, (_, pair) =>
      // What is not turned is as it was: by the angle 0, and not scaled.
      pair < frequencies.length ? scale * of(Math.fround(position * frequencies[pair]!)) : of(0),
    ),
  );
}

const largest = (found: Float32Array, values: readonly number[]) =>
  found.reduce((most, value, n) => Math.max(most, Math.abs(value - values[n]!)), 0);

test.each([
  ['stored', 4096, [0, 1, 2, 77, 4095]],
  ['computed', 2 ** 20, [0, 1, 2, 77, 4095, 131_071, 999_983, 2 ** 20 - 1]],
] as const)('%s ones are those of PyTorch, at every distance', async (kind, maxContext, positions) => {
  const { model, cos, sin } = await tablesOf(maxContext, positions);
  expect(model.graph.nodes.some(({ op }) => op === 'Cos')).toBe(kind === 'computed');
  expect(largest(cos, expected(positions, ROTARY, Math.cos))).toBeLessThan(1e-6);
  expect(largest(sin, expected(positions, ROTARY, Math.sin))).toBeLessThan(1e-6);
});

test('longrope has other frequencies where a text has more tokens than its bound, for all of them', async () => {
  const frequencies = ROTARY.frequencies.map((frequency) => frequency / 3);
  const rotary = { ...ROTARY, long: { beyond: 100, frequencies } };
  for (const [positions, used] of [
    [[0, 5, 99], ROTARY],
    [[0, 5, 100], { ...ROTARY, frequencies }],
  ] as const) {
    const { cos } = await tablesOf(4096, positions, rotary);
    expect(largest(cos, expected(positions, used, Math.cos))).toBeLessThan(1e-6);
  }
});
