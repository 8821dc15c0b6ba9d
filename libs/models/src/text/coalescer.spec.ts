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

test('calls that arrive while a batch is under way form the next one', async () => {
  const { batches, run } = gated();
  const coalescer = new Coalescer(run, 3, 1);
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
  const coalescer = new Coalescer(odd, 3, 1);
  const calls = await Promise.allSettled([1, 2, 3, 4].map((n) => coalescer.run(n)));
  expect(calls.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});
