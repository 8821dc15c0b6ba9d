/**
 * How the inputs of an 8-bit product are best brought near to each other, by what rounding would cost: rows of calibration texts
 * are rounded as the kernel rounds them, and weights take part by their squares.
 */
import { levelsBeside, type RowInputs } from '@shoal/importer';
import type { InputStatistics } from './statistics.js';

/** Shares of the inputs' range that weights take over (α of SmoothQuant). */
const STRENGTHS = [0.2, 0.35, 0.5, 0.65, 0.8, 1];
/** Levels that may stand for 0: fewer below it suit inputs that are hardly ever negative. */
const ZERO_POINTS = [128, 64, 32, 16, 8];
/** Error that must be left at most, as a share, for a pass over the inputs to pay; and for a norm that does it by the way. */
const WORTH = { pass: 0.8, norm: 0.97 };
/** Below this share of the largest, ranges count as this share: what is never moved is not stretched without end. */
const SMALLEST_RANGE = 1e-3;
const LARGEST_LEVEL = 127;
/** Rows that settings are tried on. */
const TRIED = 256;

export interface Smoothed {
  readonly inputs: RowInputs;
  /** Error that is expected of it, as a share of the error of inputs as they are. */
  readonly left: number;
}

/**
 * `weights` are [rows, columns], row-major; `normed`: a LayerNormalization makes the inputs, so that offsets and factors cost
 * nothing (elsewhere only factors are tried).
 */
export function smooth(weights: Float32Array, statistics: InputStatistics, normed: boolean): Smoothed {
  const product = new RoundedProduct(weights, statistics);
  const plain = product.error({});
  const means = Float32Array.from(statistics.means);
  const bestOf = (all: readonly RowInputs[]): Smoothed => {
    const measured = all.map((inputs) => ({
      inputs: { ...inputs, means },
      left: plain === 0 ? 1 : product.error(inputs) / plain,
    }));
    return measured.reduce((best, one) => (one.left < best.left ? one : best));
  };
  const stretched = STRENGTHS.map((strength) => product.factors(strength, undefined));
  const free = bestOf(ZERO_POINTS.map((zeroPoint) => ({ zeroPoint })));
  const passed = bestOf(stretched.flatMap((factors) => ZERO_POINTS.map((zeroPoint) => ({ factors, zeroPoint }))));
  if (!normed) return passed.left <= WORTH.pass * free.left ? passed : free;
  const centred = [undefined, ...STRENGTHS.map((strength) => product.factors(strength, means))];
  const moved = bestOf([passed.inputs, ...centred.map((factors) => ({ factors, offsets: means }))]);
  return moved.left <= WORTH.norm * free.left ? moved : free;
}

class RoundedProduct {
  readonly #weights: Float32Array;
  readonly #statistics: InputStatistics;
  readonly #columns: number;
  readonly #rows: number;
  /** Σ w² of each column, and its largest |w|. */
  readonly #energies: Float64Array;
  readonly #peaks: Float64Array;
  readonly #weightErrors = new Map<Float32Array | undefined, number>();

  constructor(weights: Float32Array, statistics: InputStatistics) {
    const columns = statistics.means.length;
    this.#weights = weights;
    this.#statistics = statistics;
    this.#columns = columns;
    this.#rows = weights.length / columns;
    this.#energies = new Float64Array(columns);
    this.#peaks = new Float64Array(columns);
    for (let at = 0, n = 0; at < weights.length; at++, n = n + 1 === columns ? 0 : n + 1) {
      const size = Math.abs(weights[at]!);
      this.#energies[n]! += size * size;
      if (size > this.#peaks[n]!) this.#peaks[n] = size;
    }
  }

  /** max |w|^(1-α) / max |x|^α of each input, their geometric mean 1. */
  factors(strength: number, offsets: Float32Array | undefined): Float32Array {
    const { lowest, highest } = this.#statistics;
    const ranges = Float64Array.from(highest, (high, n) => {
      const offset = offsets?.[n] ?? 0;
      return Math.max(high - offset, offset - lowest[n]!);
    });
    const [x, w] = [floored(ranges), floored(this.#peaks)];
    const logarithms = x.map((range, n) => (1 - strength) * Math.log(w[n]!) - strength * Math.log(range));
    const mean = logarithms.reduce((sum, value) => sum + value, 0) / this.#columns;
    return Float32Array.from(logarithms, (value) => Math.exp(value - mean));
  }

  /** Expected squared error of the product over the sample, all outputs together. */
  error({ factors, offsets, zeroPoint }: RowInputs): number {
    const { sample, means } = this.#statistics;
    const columns = this.#columns;
    const [above, below] = levelsBeside(zeroPoint);
    const costs = this.#energies.map((energy, n) => energy / (factors?.[n] ?? 1) ** 2);
    const row = new Float64Array(columns);
    let [rounding, squares] = [0, 0];
    const step = columns * Math.max(1, Math.floor(sample.length / columns / TRIED));
    for (let start = 0; start < sample.length; start += step) {
      let [low, high] = [0, 0];
      for (let n = 0; n < columns; n++) {
        const value = (sample[start + n]! - (offsets?.[n] ?? 0)) * (factors?.[n] ?? 1);
        row[n] = value;
        // What weights make of the mean is put right by the bias.
        squares += ((sample[start + n]! - means[n]!) * (factors?.[n] ?? 1)) ** 2;
        if (value < low) low = value;
        else if (value > high) high = value;
      }
      const level = Math.max(high / above, -low / below, Number.MIN_VALUE);
      for (let n = 0; n < columns; n++) {
        const wrong = row[n]! - level * Math.round(row[n]! / level);
        rounding += wrong * wrong * costs[n]!;
      }
    }
    return rounding + squares * this.#weightError(factors);
  }

  /** Expected Σ of the squared errors of one input's weights: a step's share of each row's largest weight. */
  #weightError(factors: Float32Array | undefined): number {
    const known = this.#weightErrors.get(factors);
    if (known !== undefined) return known;
    const columns = this.#columns;
    let sum = 0;
    for (let row = 0; row < this.#rows; row++) {
      let peak = 0;
      for (let n = 0; n < columns; n++) {
        const size = Math.abs(this.#weights[row * columns + n]!) / (factors?.[n] ?? 1);
        if (size > peak) peak = size;
      }
      sum += (peak / LARGEST_LEVEL) ** 2 / 12;
    }
    this.#weightErrors.set(factors, sum);
    return sum;
  }
}

function floored(values: Float64Array): Float64Array {
  const least = SMALLEST_RANGE * values.reduce((most, value) => Math.max(most, value), 0);
  return values.map((value) => Math.max(value, least, Number.MIN_VALUE));
}
