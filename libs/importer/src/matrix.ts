/** Weights of two dimensions, read when they are written: one is in memory at a time. */
import { lazyData, type TensorData } from '@shoal/onnx';

export class Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly #read: () => Float32Array;
  #data: TensorData | undefined;
  #transposed: TensorData | undefined;

  /** `read` returns rows × columns numbers, row-major; it is called at each use. */
  constructor(rows: number, columns: number, read: () => Float32Array) {
    this.rows = rows;
    this.columns = columns;
    this.#read = read;
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
}

/** One above the other: the rows of a packed projection. All have the same number of columns. */
export function stackRows(parts: readonly Matrix[]): Matrix {
  const columns = parts[0]?.columns ?? 0;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  return new Matrix(rows, columns, () => {
    const all = new Float32Array(rows * columns);
    let at = 0;
    for (const part of parts) {
      all.set(part.read(), at);
      at += part.rows * columns;
    }
    return all;
  });
}

/** `order[n]` is which row comes to stand at `n`; rows behind the order's end stay where they are. */
export function reorderRows(matrix: Matrix, order: Int32Array): Matrix {
  const { rows, columns } = matrix;
  return new Matrix(rows, columns, () => {
    const from = matrix.read();
    const to = from.slice();
    for (let at = 0; at < order.length; at++) {
      to.set(from.subarray(order[at]! * columns, (order[at]! + 1) * columns), at * columns);
    }
    return to;
  });
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
