/** What an implementation must do right before it is trusted with models: a graph small enough to be right by hand. */
import { tensorInfo, writeModel } from './onnx-writer.js';
import type { Runtime, Session, Tensor } from './types.js';

/** y = x · W + b; twice = ids + ids; same = text. */
export const SELF_TEST_MODEL = writeModel({
  name: 'self-test',
  inputs: [tensorInfo('x', 'float32', 'n', 2), tensorInfo('ids', 'int64', 'n'), tensorInfo('text', 'string', 'n')],
  outputs: [tensorInfo('y', 'float32', 'n', 2), tensorInfo('twice', 'int64', 'n'), tensorInfo('same', 'string', 'n')],
  nodes: [
    { op: 'Gemm', inputs: ['x', 'W', 'b'], outputs: ['y'] },
    { op: 'Add', inputs: ['ids', 'ids'], outputs: ['twice'] },
    { op: 'Identity', inputs: ['text'], outputs: ['same'] },
  ],
  constants: {
    W: { type: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    b: { type: 'float32', dims: [2], data: Float32Array.of(10, 20) },
  },
});

const ids: Tensor = { type: 'int64', dims: [1], data: BigInt64Array.of(-(2n ** 40n)) };
const text: Tensor = { type: 'string', dims: [1], data: ['größer 🐟'] };

/** @throws Error saying what went wrong. */
export async function selfTest(runtime: Runtime): Promise<void> {
  const session = await runtime.createSession(SELF_TEST_MODEL);
  try {
    await testNumbers(session);
    await testBinding(session);
  } finally {
    await session.release();
  }
}

async function testNumbers(session: Session): Promise<void> {
  const y = new Float32Array(2);
  let settled = false;
  const run = session
    .run({ x: row(1, 1), ids, text }, { preallocated: { y: { type: 'float32', dims: [1, 2], data: y } } })
    .finally(() => {
      settled = true;
    });
  // Microtasks only: a run that settles within them has blocked the event loop.
  for (let turn = 0; turn < 100; turn++) await undefined;
  if (settled) throw new Error('a run blocked the event loop');
  const { y: product, twice, same } = await run;
  expect('a product', product?.data, [14, 26]);
  expect('an output in place', y, [14, 26]);
  expect('64-bit integers', twice?.data, [-(2n ** 41n)]);
  expect('strings', same?.data, text.data);
}

async function testBinding(session: Session): Promise<void> {
  const binding = session.bind();
  try {
    const [x, y] = [row(0, 0), row(0, 0)];
    for (const [name, tensor] of Object.entries({ x, ids, text })) binding.bindInput(name, tensor);
    binding.bindOutput('y', y);
    binding.bindOutput('same', 'cpu');
    for (const value of [1, 2]) {
      (x.data as Float32Array).fill(value);
      const { same } = await binding.run();
      expect('a bound output', y.data, [4 * value + 10, 6 * value + 20]);
      expect('an output on a device', same?.data, text.data);
    }
  } finally {
    await binding.release();
  }
}

function row(...values: number[]): Tensor {
  return { type: 'float32', dims: [1, 2], data: Float32Array.from(values) };
}

function expect(what: string, actual: Tensor['data'] | undefined, expected: Tensor['data'] | readonly unknown[]): void {
  const got = Array.from<unknown>(actual ?? []).join();
  if (got !== Array.from<unknown>(expected).join()) throw new Error(`${what} came out as [${got}]`);
}
