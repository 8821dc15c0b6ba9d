import { describe, expect, it } from 'vitest';
import { philox, uniform } from './random.js';

/** (χ² − degrees of freedom) in standard deviations. */
function deviation(counts: readonly number[], expected: number): number {
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chi - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
}

describe('uniform', () => {
  // Random123's kat_vectors, philox4x32-10.
  it('is Philox4x32-10', () => {
    const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    expect(hex(philox([-1, -1, -1, -1], [-1, -1]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    const pi = philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]);
    expect(hex(pi)).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
  });

  it('is a function of seed, position and choice, in [0, 1)', () => {
    expect(uniform(4294967295, 7, 3)).toBe(uniform(4294967295, 7, 3));
    expect(new Set([uniform(1, 0, 0), uniform(0, 1, 0), uniform(0, 0, 1), uniform(0, 0, 0)]).size).toBe(4);
  });

  it.each([
    ['seeds', (n: number) => uniform(n, 0, 0)],
    ['positions', (n: number) => uniform(42, n, 0)],
    ['choices', (n: number) => uniform(42, 0, n)],
  ])('is uniform, and independent between neighbouring %s', (_, of) => {
    const [bins, cells] = [Array<number>(100).fill(0), Array<number>(400).fill(0)];
    for (let n = 0; n < 40_000; n++) {
      const [a, b] = [of(n), of(n + 1)];
      bins[Math.floor(a * 100)]!++;
      cells[Math.floor(a * 20) * 20 + Math.floor(b * 20)]!++;
    }
    expect(Math.abs(deviation(bins, 400))).toBeLessThan(4);
    expect(Math.abs(deviation(cells, 100))).toBeLessThan(4);
  });
});
