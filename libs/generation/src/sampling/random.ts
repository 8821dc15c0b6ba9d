/**
 * Randomness as a pure function, so that an answer that goes on elsewhere, or whose tokens were guessed ahead, is the same
 * answer: Philox4x32-10, a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 */

/** Uniform in [0, 1), with 53 bits. `seed`, `position` (in the answer) and `choice` are from 0 to 2³² − 1. */
export function uniform(seed: number, position: number, choice: number): number {
  const [high, low] = philox([position, choice, 0, 0], [seed, 0]);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

type Counter = [number, number, number, number];

/** Four words of 32 bits for a counter and a key. */
export function philox([a, b, c, d]: Counter, [keyA, keyB]: [number, number]): Counter {
  for (let round = 0; round < 10; round++) {
    const highA = highWord(0xd2511f53, a);
    const highC = highWord(0xcd9e8d57, c);
    [a, b, c, d] = [highC ^ b ^ keyA, Math.imul(0xcd9e8d57, c), highA ^ d ^ keyB, Math.imul(0xd2511f53, a)];
    keyA = (keyA + 0x9e3779b9) | 0;
    keyB = (keyB + 0xbb67ae85) | 0;
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** Of the product's 64 bits the upper 32. Halves keep every step below 2⁵³. */
function highWord(a: number, b: number): number {
  const factor = b >>> 0;
  return Math.floor(((a >>> 16) * factor + Math.floor(((a & 0xffff) * factor) / 65536)) / 65536);
}
