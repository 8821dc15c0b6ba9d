/** Matrices with rows and columns exchanged. */

/** Tile edge in elements: both sides of a tile fit into the first-level cache. */
const TILE = 32;

/** [rows, columns] → [columns, rows]. */
export function transposed<T extends Uint32Array | Uint16Array | Float32Array>(
  from: T,
  rows: number,
  columns: number,
): T {
  const to = new (from.constructor as new (length: number) => T)(from.length);
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
