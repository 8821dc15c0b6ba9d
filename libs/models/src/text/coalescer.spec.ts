import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Coalescer } from './coalescer.js';

/** A batch function whose batches end when the spec says so. */
function gated() {
  const batches: { readonly inputs: number[]; readonly end: () => void }[] = [];
  const run = (inputs: number[]) =>
    new Promise<number[]>((resolve) => {
      batches.push({ inputs, end: () => resolve(inputs.map((n) => n * 10)) });
    });
  return { batches, run };
}

const LIMITS = { maxBatch: 3, maxSize: 10, sizeOf: (n: number) => n, lanes: 1 };

test('calls that arrive while a batch is under way form the next one', async () => {
  const { batches, run } = gated();
  const coalescer = new Coalescer(run, LIMITS);
  const first = coalescer.run(1);
  await turn();
  const later = [2, 3, 4, 5].map((n) => coalescer.run(n));
  expect(batches.map(({ inputs }) => inputs)).toEqual([[1]]);
  batches[0]!.end();
  expect(await first).toBe(10);
  await turn();
  batches[1]!.end();
  expect(await Promise.all(later.slice(0, 3))).toEqual([20, 30, 40]);
  await turn();
  batches[2]!.end();
  expect(await later[3]).toBe(50);
  expect(batches.map(({ inputs }) => inputs)).toEqual([[1], [2, 3, 4], [5]]);
});

test('an input that fails fails its own call only', async () => {
  const odd = async (inputs: number[]) => {
    if (inputs.includes(2)) throw new Error('no');
    return inputs;
  };
  const coalescer = new Coalescer(odd, LIMITS);
  const calls = await Promise.allSettled([1, 2, 3, 4].map((n) => coalescer.run(n)));
  expect(calls.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});

test('a batch ends where its inputs get too large together; a large one runs alone', async () => {
  const batches: number[][] = [];
  const run = async (inputs: number[]) => {
    batches.push(inputs);
    return inputs;
  };
  const coalescer = new Coalescer(run, LIMITS);
  await Promise.all([100, 4, 6, 1, 50, 2].map((n) => coalescer.run(n)));
  expect(batches).toEqual([[100], [4, 6], [1], [50], [2]]);
});
