/**
 * The scale of one block of weights that costs the least squared error. For given levels q of the weights w the best scale
 * is Σwq / Σq², and it leaves Σw² − (Σwq)² / Σq²: each candidate is judged by that gain, without computing the errors. Where
 * weights count differently, by h, the same holds of Σhwq / Σhq².
 */

/** What the largest weight is first mapped to, in levels from zero. Beyond the range it is cut, to the others' benefit. */
const SYMMETRIC_LEVELS = {
  4: Float64Array.of(-8.7, -8.3, -8, -7.7, -7.3, -6.9, -6.3, 7),
  8: Float64Array.of(-128, 127),
} as const;

/** The same where weights count differently: the largest may count for little, and be cut far, or for nearly all. */
const WEIGHTED_LEVELS = {
  4: bothSigns(1.5, 2.5, 3.5, 4.5, 5, 5.5, 6, 6.4, 6.8, 7.1, 7.4, 7.7, 8, 8.3, 8.7, 9.2, 9.8, 10.5, 11.5, 13, 15, 18),
  8: bothSigns(127, 128, 131, 135, 141, 150, 165),
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

  /** Over the first `length` values; `importance` is how much the square of each one's error counts, all above 0. */
  symmetric(values: Float64Array, length: number, importance?: Float64Array): void {
    const middle = 2 ** (this.#bits - 1);
    this.#start(middle);
    let peak = 0;
    for (let i = 0; i < length; i++) if (Math.abs(values[i]!) > Math.abs(peak)) peak = values[i]!;
    if (peak === 0) return;
    const levels = (importance === undefined ? SYMMETRIC_LEVELS : WEIGHTED_LEVELS)[this.#bits];
    for (let n = 0; n < levels.length; n++) this.#try(values, length, levels[n]! / peak, middle, importance);
    this.#refine(values, length, importance);
  }

  /** As `symmetric`. */
  asymmetric(values: Float64Array, length: number, importance?: Float64Array): void {
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
      this.#try(values, length, inverse, below, importance);
      if (below < this.#top) this.#try(values, length, inverse, below + 1, importance);
    }
    this.#refine(values, length, importance);
  }

  #start(zero: number): void {
    this.scale = 0;
    this.zero = zero;
    this.#gain = 0;
  }

  #try(values: Float64Array, length: number, inverse: number, zero: number, importance?: Float64Array): void {
    if (importance === undefined) this.#consider(values, length, inverse, zero);
    else this.#considerWeighted(values, importance, length, inverse, zero);
  }

  /** Levels for the scale, a scale for those levels, and so on for as long as that gains. */
  #refine(values: Float64Array, length: number, importance: Float64Array | undefined): void {
    if (importance === undefined) return;
    for (let before = 0; this.#gain > before; ) {
      before = this.#gain;
      if (this.scale !== 0) this.#considerWeighted(values, importance, length, 1 / this.scale, this.zero);
    }
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
    this.#keepBetter(dot, norm, zero);
  }

  /** The same sums with each weight's importance. Apart, so that the common loop stays as short as it is. */
  #considerWeighted(
    values: Float64Array,
    importance: Float64Array,
    length: number,
    inverse: number,
    zero: number,
  ): void {
    const [lowest, highest] = [-zero, this.#top - zero];
    let [dot, norm] = [0, 0];
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      let level = value * inverse + ROUND - ROUND;
      if (level < lowest) level = lowest;
      else if (level > highest) level = highest;
      const counted = importance[i]! * level;
      dot += value * counted;
      norm += level * counted;
    }
    this.#keepBetter(dot, norm, zero);
  }

  #keepBetter(dot: number, norm: number, zero: number): void {
    const gain = norm === 0 ? 0 : (dot * dot) / norm;
    if (gain <= this.#gain) return;
    this.#gain = gain;
    this.scale = Math.fround(dot / norm);
    this.zero = zero;
  }
}

function bothSigns(...levels: readonly number[]): Float64Array {
  return Float64Array.from([...levels, ...levels.map((level) => -level)]);
}
