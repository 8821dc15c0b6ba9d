import { expect, test } from 'vitest';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from './halves.js';

test('float16 bits have their IEEE 754 values', () => {
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00, 0xfc00, 0x3555);
  const values = [1, -2, 65_504, 2 ** -24, 2 ** -14, Infinity, -Infinity, 0.333251953125];
  expect([...float16ToFloat32(bits)]).toEqual(values);
  expect(float16ToFloat32(Uint16Array.of(0x7e00))[0]).toBeNaN();
});

test('every float16 survives the way to float32 and back', () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter((bits) => (bits & 0x7fff) <= 0x7c00);
  const values = float16ToFloat32(all);
  expect(all.every((bits, i) => float32ToFloat16(values[i]!) === bits)).toBe(true);
});

test('float32 rounds to the nearest float16, ties to even, and beyond the largest to infinity', () => {
  expect(float32ToFloat16(1 + 2 ** -11)).toBe(0x3c00);
  expect(float32ToFloat16(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(float32ToFloat16(65_519)).toBe(0x7bff);
  expect(float32ToFloat16(65_520)).toBe(0x7c00);
});

test('bfloat16 is the upper half of a float32', () => {
  expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc040))]).toEqual([1, -3]);
  expect(float32ToBfloat16(1 + 2 ** -8)).toBe(0x3f80);
  expect(float32ToBfloat16(-3)).toBe(0xc040);
});
