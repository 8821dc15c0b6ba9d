import { expect, test } from 'vitest';
import { shortest, shortestArray } from './shortest.js';

test('a float32 is shown with the digits it needs, not those of its double', () => {
  for (const text of ['0.1', '1', '-0.25', '16777216', '3.1415927', '1e-7', '3.4028235e+38', '1e-45', '0.3333333']) {
    expect(String(shortest(Math.fround(Number(text))))).toBe(text);
  }
});

test('every float32 reads back as itself', () => {
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  let broken = 0;
  for (let i = 0; i < 200_000; i++) {
    // Weyl sequence: all exponents and signs, the same ones on every run.
    bits[0] = Math.imul(i, 0x9e3779b1);
    if (Number.isFinite(float[0]) && Math.fround(shortest(float[0]!)) !== float[0]) broken++;
  }
  expect(broken).toBe(0);
});

test('an embedding becomes plain numbers', () => {
  expect(shortestArray(Float32Array.of(0.1, -2.5, 0), 0, 2)).toEqual([0.1, -2.5]);
});
