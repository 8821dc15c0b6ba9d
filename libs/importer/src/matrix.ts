/** Weights of two dimensions, read when they are written: one is in memory at a time. */
import { lazyData, type TensorData } from '@shoal/onnx';
import { dequantise, type KeptBlocks, pickKeptRows, stackKept } from './kept-blocks.js';

export class Matrix {
  readonly rows: number;
  readonly columns: number;
  /** The integers that the weights came as, for those who multiply by such; undefined where they came as floats. */
  readonly kept: KeptBlocks | undefined;
  readonly #read: () => Float32Array;
  #data: TensorData | undefined;
  #transposed: TensorData | undefined;

  /** `read` returns rows × columns numbers, row-major; it is called at each use. They are what `kept` stands for. */
  constructor(rows: number, columns: number, read: () => Float32Array, kept?: KeptBlocks) {
    this.rows = rows;
    this.columns = columns;
    this.kept = kept;
    this.#read = read;
  }

  static ofBlocks(kept: KeptBlocks): Matrix {
    return new Matrix(kept.rows, kept.columns, () => dequantise(kept), kept);
  }

  /** Row-major; not to be written to. */
  read(): Float32Array {
    return this.#read();
  }

  /** The same bytes for every caller, so that what two nodes share is stored once. */
  get data(): TensorData {
    this.#data ??= lazyData(4 * this.rows * this.columns, () => this.#read());
    return this.#data;
  }

  /** [columns, rows], as ONNX's MatMul multiplies. */
  get transposed(): TensorData {
    this.#transposed ??= lazyData(4 * this.rows * this.columns, () => transpose(this.#read(), this.rows, this.columns));
    return this.#transposed;
  }

  /** `rows` rows, each that which `from` names: a part of the matrix, or its rows in another order. */
  pickRows(rows: number, from: (row: number) => number): Matrix {
    const { columns, kept } = this;
    const read = () => {
      const all = this.#read();
      const picked = new Float32Array(rows * columns);
      for (let row = 0; row < rows; row++) {
        picked.set(all.subarray(from(row) * columns, (from(row) + 1) * columns), row * columns);
      }
      return picked;
    };
    return new Matrix(rows, columns, read, kept && pickKeptRows(kept, rows, from));
  }
}

/** One above the other: the rows of a packed projection. All have the same number of columns. */
export function stackRows(parts: readonly Matrix[]): Matrix {
  const columns = parts[0]?.columns ?? 0;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const read = () => {
    const all = new Float32Array(rows * columns);
    let at = 0;
    for (const part of parts) {
      all.set(part.read(), at);
      at += part.rows * columns;
    }
    return all;
  };
  return new Matrix(rows, columns, read, stackKept(parts.map(({ kept }) => kept)));
}

/** Tile edge in elements: both sides of a tile fit into the first-level cache. */
const TILE = 32;

function transpose(from: Float32Array, rows: number, columns: number): Float32Array {
  const to = new Float32Array(from.length);
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(rows, top + TILE);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(columns, left + TILE);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) to[column * rows + row] = from[row * columns + column]!;
      }
    }
  }
  return to;
}
