/**
 * The scale of one block of weights that costs the least squared error. For given levels q of the weights w the best scale
 * is Σwq / Σq², and it leaves Σw² − (Σwq)² / Σq²: each candidate is judged by that gain, without computing the errors.
 */

/** What the largest weight is first mapped to, in levels from zero. Beyond the range it is cut, to the others' benefit. */
const SYMMETRIC_LEVELS = {
  4: Float64Array.of(-8.7, -8.3, -8, -7.7, -7.3, -6.9, -6.3, 7),
  8: Float64Array.of(-128, 127),
} as const;

/** How much wider than the weights the levels are stretched at first. */
const ASYMMETRIC_FACTORS = {
  4: Float64Array.of(0.93, 1, 1.06, 1.12, 1.2),
  8: Float64Array.of(1),
} as const;

/** Added and taken away again, it leaves the nearest integer (of two the even one): doubles have no bits left below 1. */
export const ROUND = 1.5 * 2 ** 52;

/** Reused for every block; `scale` and `zero` (the level that stands for 0) are those of the last search. */
export class ScaleSearch {
  scale = 0;
  zero = 0;
  readonly #bits: 4 | 8;
  readonly #top: number;
  #gain = 0;

  constructor(bits: 4 | 8) {
    this.#bits = bits;
    this.#top = 2 ** bits - 1;
  }

  /** Over the first `length` values. */
  symmetric(values: Float64Array, length: number): void {
    const middle = 2 ** (this.#bits - 1);
    this.#start(middle);
    let peak = 0;
    for (let i = 0; i < length; i++) if (Math.abs(values[i]!) > Math.abs(peak)) peak = values[i]!;
    if (peak === 0) return;
    const levels = SYMMETRIC_LEVELS[this.#bits];
    for (let n = 0; n < levels.length; n++) this.#consider(values, length, levels[n]! / peak, middle);
  }

  asymmetric(values: Float64Array, length: number): void {
    this.#start(2 ** (this.#bits - 1));
    let [low, high] = [0, 0];
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      if (value < low) low = value;
      else if (value > high) high = value;
    }
    if (low === high) return;
    const factors = ASYMMETRIC_FACTORS[this.#bits];
    for (let n = 0; n < factors.length; n++) {
      const inverse = (this.#top * factors[n]!) / (high - low);
      // Where both ends are cut, they are cut alike.
      const zero = this.#top / 2 - (inverse * (low + high)) / 2;
      const below = Math.min(this.#top, Math.max(0, Math.floor(zero)));
      this.#consider(values, length, inverse, below);
      if (below < this.#top) this.#consider(values, length, inverse, below + 1);
    }
  }

  #start(zero: number): void {
    this.scale = 0;
    this.zero = zero;
    this.#gain = 0;
  }

  #consider(values: Float64Array, length: number, inverse: number, zero: number): void {
    const [lowest, highest] = [-zero, this.#top - zero];
    let [dot, norm] = [0, 0];
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      let level = value * inverse + ROUND - ROUND;
      if (level < lowest) level = lowest;
      else if (level > highest) level = highest;
      dot += value * level;
      norm += level * level;
    }
    const gain = norm === 0 ? 0 : (dot * dot) / norm;
    if (gain <= this.#gain) return;
    this.#gain = gain;
    this.scale = Math.fround(dot / norm);
    this.zero = zero;
  }
}
