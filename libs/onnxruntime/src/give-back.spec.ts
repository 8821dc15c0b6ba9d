import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { giveBack } from './give-back.js';

/** Bytes of the process in memory. */
const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
const SIZE = 64 * 2 ** 20;

it.runIf(process.platform === 'linux')(
  'memory that is given back is gone, reads as zero, and can be used again',
  () => {
    const memory = new Uint8Array(SIZE).fill(7);
    const before = resident();
    expect(giveBack(memory.subarray(10, SIZE - 10))).toBe(true);
    expect(before - resident()).toBeGreaterThan(SIZE / 2);
    expect([memory[9], memory[SIZE / 2], memory[SIZE - 10]]).toEqual([7, 0, 7]);
    memory.fill(5);
    expect(memory[SIZE / 2]).toBe(5);
  },
);

it.runIf(process.platform === 'linux')('what is smaller than a page is left alone', () => {
  const memory = new Uint8Array(100).fill(7);
  expect(giveBack(memory)).toBe(true);
  expect([...memory].every((value) => value === 7)).toBe(true);
  expect(giveBack(new Uint8Array(0))).toBe(true);
});
