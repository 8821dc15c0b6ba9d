/** What the inputs of products are like, over all texts: sums in 64-bit floats, added up pass by pass, and a few rows as they are. */
import type { Session } from '@shoal/onnxruntime';
import { inputsOf, type Product } from './observed.js';
import type { Texts } from './texts.js';

/** Of the inputs of one product, [columns] each. */
export interface InputStatistics {
  /** Rows that were seen: tokens, once for each place where the product is. */
  readonly rows: number;
  readonly means: Float64Array;
  /** Means of squares. */
  readonly squares: Float64Array;
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
  /** Some of the rows, any as likely as any other: [n, columns]. */
  readonly sample: Float32Array;
}

export interface StatisticsOptions {
  /** Rows to keep of each product, at most: fewer where there are so many products that they would take too much memory. */
  readonly sample: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Of the samples of all products together: 256 MiB. */
const SAMPLE_NUMBERS = 64 * 1024 * 1024;

/**
 * By product. `session` is of the graph that puts out what products read (`observed`).
 *
 * @throws ShoalError `inference_failed`; the signal's reason
 */
export async function statisticsOf(
  session: Session,
  products: ReadonlyMap<string, Product>,
  texts: Texts,
  options: StatisticsOptions,
): Promise<ReadonlyMap<string, InputStatistics>> {
  const columnsOf = new Map(
    [...products.values()].flatMap(({ inputs, weight }) =>
      [...inputs].map((x): [string, number] => [x, weight.columns]),
    ),
  );
  const width = [...columnsOf.values()].reduce((sum, columns) => sum + columns, 0);
  const sample = Math.min(options.sample, Math.floor(SAMPLE_NUMBERS / Math.max(1, width)));
  const gathered = new Map(
    [...products.values()].map(({ name, weight }) => [name, new Gathered(weight.columns, { ...options, sample })]),
  );
  await texts.observe(session, inputsOf(products), width, (outputs) => {
    for (const { name, inputs } of products.values()) {
      for (const value of inputs) gathered.get(name)!.add(outputs[value]!.data as Float32Array);
    }
  });
  return new Map([...gathered].map(([name, all]) => [name, all.result()]));
}

/**
 * How much errors at each input count, [columns] by product: the mean of its square, which is what a weight's own error adds to the
 * squared error of the product. None is 0: what these texts never move, others may.
 */
export function importanceOf(
  statistics: ReadonlyMap<string, InputStatistics>,
): (name: string) => Float32Array | undefined {
  const known = new Map([...statistics].map(([name, { squares }]) => [name, withFloor(squares)]));
  return (name) => known.get(name);
}

/** A share of the mean of all. */
const FLOOR = 0.1;

function withFloor(squares: Float64Array): Float32Array {
  const mean = squares.reduce((sum, value) => sum + value, 0) / squares.length;
  return Float32Array.from(squares, (value) => (mean === 0 ? 1 : value / mean + FLOOR));
}

class Gathered {
  readonly #columns: number;
  readonly #options: StatisticsOptions;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #lowest: Float32Array;
  readonly #highest: Float32Array;
  readonly #sample: Float32Array;
  #rows = 0;

  constructor(columns: number, options: StatisticsOptions) {
    this.#columns = columns;
    this.#options = options;
    this.#sums = new Float64Array(columns);
    this.#squares = new Float64Array(columns);
    this.#lowest = new Float32Array(columns).fill(Number.POSITIVE_INFINITY);
    this.#highest = new Float32Array(columns).fill(Number.NEGATIVE_INFINITY);
    this.#sample = new Float32Array(columns * options.sample);
  }

  /** [rows, columns] */
  add(values: Float32Array): void {
    const columns = this.#columns;
    const [sums, squares, lowest, highest] = [this.#sums, this.#squares, this.#lowest, this.#highest];
    for (let start = 0; start < values.length; start += columns) {
      for (let n = 0; n < columns; n++) {
        const value = values[start + n]!;
        sums[n]! += value;
        squares[n]! += value * value;
        if (value < lowest[n]!) lowest[n] = value;
        if (value > highest[n]!) highest[n] = value;
      }
      this.#keep(values.subarray(start, start + columns));
    }
  }

  /** Vitter's algorithm R. */
  #keep(row: Float32Array): void {
    const { sample, random } = this.#options;
    const place = this.#rows < sample ? this.#rows : Math.floor(random() * (this.#rows + 1));
    if (place < sample) this.#sample.set(row, place * this.#columns);
    this.#rows += 1;
  }

  result(): InputStatistics {
    const rows = this.#rows;
    return {
      rows,
      means: this.#sums.map((sum) => sum / rows),
      squares: this.#squares.map((sum) => sum / rows),
      lowest: this.#lowest,
      highest: this.#highest,
      sample: this.#sample.subarray(0, Math.min(rows, this.#options.sample) * this.#columns),
    };
  }
}
