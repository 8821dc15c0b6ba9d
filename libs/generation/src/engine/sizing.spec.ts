import { expect, test } from 'vitest';
import { sizeOf } from './sizing.js';

const MIB = 2 ** 20;
const MEMORY = { limit: 1000 * MIB, resident: 100 * MIB, bytesPerToken: 65_536, bytesPerBlock: MIB, givesBack: false };

test('as many rows as there is memory for texts of the longest context', () => {
  expect(sizeOf(MEMORY, { context: 1000 })).toEqual({
    ...{ rows: 12, context: 1000, budget: 12_000, bytes: Math.ceil((12_000 * 65_536) / 0.9) },
  });
  expect(sizeOf(MEMORY, { context: 1000, rows: 3 })).toEqual({
    ...{ rows: 3, context: 1000, budget: 3000, bytes: Math.ceil((3000 * 65_536) / 0.9) },
  });
});

test('more of them, which share the memory, where it can be given back', () => {
  expect(sizeOf({ ...MEMORY, givesBack: true }, { context: 1000 })).toMatchObject({
    rows: 64,
    context: 1000,
    budget: 12_960,
  });
});

test('a share of what is left, though always room for one text', () => {
  const budget = (share: number, context: number) => sizeOf({ ...MEMORY, givesBack: true, share }, { context }).budget;
  expect([budget(0.5, 1000), budget(0.25, 1000), budget(0.25, 5000)]).toEqual([6480, 3240, 5000]);
});

test('no more than there are addresses for', () => {
  const memory = { ...MEMORY, givesBack: true, bytesPerBlock: 200 * MIB };
  expect(sizeOf(memory, { context: 1000 })).toMatchObject({ rows: 5 });
});

test('where not even one text has room, the error says how much it takes', () => {
  const size = () => sizeOf(MEMORY, { context: 100_000 });
  expect(size).toThrow(expect.objectContaining({ code: 'device_failed' }));
  expect(size).toThrow('A text of 100000 tokens takes 7045 MiB of memory');
});
