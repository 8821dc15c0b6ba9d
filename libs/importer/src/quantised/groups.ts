/**
 * Matrices of integers whose columns share scales in groups, as quantised checkpoints have them, in the blocks of MatMulNBits: a
 * group of 512 is two blocks of 256 with one scale. Where no block size fits, the matrix is one of floats.
 */
import type { KeptBlocks } from '../kept-blocks.js';
import { Matrix } from '../matrix.js';
import { BLOCK_LENGTHS, type BlockFormat } from '../precision/quantise-blocks.js';

export interface GroupedMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 4 | 8;
  /** Columns that share a scale; the last group may have fewer. */
  readonly group: number;
  /** The group of each column, where neighbours need not be of one. Each is below the number of groups. */
  readonly groupOf?: Uint32Array;
  /** [rows, columns · bits / 8], of two 4-bit numbers in a byte the low half first. */
  levels(): Uint8Array;
  /** [rows, groups] */
  scales(): Float32Array;
  /** What stands for 0, a byte each [rows, groups]; undefined: the middle of the range. */
  zeros?(): Uint8Array;
}

/** Kept wherever a block size fits and the groups have equal sizes; reads zero points at once, the rest when it is asked for. */
export function matrixOfGroups(grouped: GroupedMatrix): Matrix {
  const { rows, columns, bits, group } = grouped;
  const block = BLOCK_LENGTHS.findLast((size) => group % size === 0 && columns % size === 0);
  const order = orderOf(grouped);
  if (block === undefined || order === undefined) return new Matrix(rows, columns, () => dequantiseGroups(grouped));
  const zeros = grouped.zeros?.();
  const symmetric = zeros?.every((zero) => zero === 2 ** (bits - 1)) ?? true;
  const format: BlockFormat = { bits, block, symmetric };
  const kept: KeptBlocks = {
    ...{ rows, columns, format },
    ...(order.length > 0 && { order }),
    data: () => (order.length > 0 ? reordered(grouped.levels(), order, bits) : grouped.levels()),
    scales: () => byBlock(grouped, block, grouped.scales()),
    ...(!symmetric && { zeroPoints: () => packed(byBlock(grouped, block, grouped.zeros!()), rows, bits) }),
  };
  return Matrix.ofBlocks(kept);
}

function groupsOf({ columns, group }: GroupedMatrix): number {
  return Math.ceil(columns / group);
}

/**
 * Columns, those of the first group first; empty where they stand so already. Undefined where a group has more or fewer columns
 * than the others, which no blocks can have.
 */
function orderOf(grouped: GroupedMatrix): Uint32Array | undefined {
  const { columns, group, groupOf } = grouped;
  if (groupOf === undefined || groupOf.every((own, column) => own === Math.floor(column / group)))
    return new Uint32Array();
  const next = Uint32Array.from({ length: groupsOf(grouped) }, (_, n) => n * group);
  const order = new Uint32Array(columns);
  for (const [column, own] of groupOf.entries()) {
    const place = next[own]!++;
    if (place >= Math.min(columns, (own + 1) * group)) return undefined;
    order[place] = column;
  }
  return order;
}

/** At each place of a row the level of the column `order[place]`. */
function reordered(levels: Uint8Array, order: Uint32Array, bits: 4 | 8): Uint8Array {
  const columns = order.length;
  const stride = (columns * bits) / 8;
  const to = new Uint8Array(levels.length);
  for (let start = 0; start < levels.length; start += stride) {
    for (let place = 0; place < columns; place++) {
      const column = order[place]!;
      if (bits === 8) to[start + place] = levels[start + column]!;
      else
        to[start + (place >> 1)]! |= ((levels[start + (column >> 1)]! >> (4 * (column & 1))) & 15) << (4 * (place & 1));
    }
  }
  return to;
}

/** A number for each group → one for each block. */
function byBlock<T extends Uint8Array | Float32Array>(grouped: GroupedMatrix, block: number, values: T): T {
  const { rows, columns, group } = grouped;
  const [groups, blocks] = [groupsOf(grouped), columns / block];
  if (groups === blocks) return values;
  const repeated = new (values.constructor as new (length: number) => T)(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < blocks; n++) {
      repeated[row * blocks + n] = values[row * groups + Math.floor((n * block) / group)]!;
    }
  }
  return repeated;
}

/** Each row by itself, as `Blocks` has zero points. */
function packed(values: Uint8Array, rows: number, bits: 4 | 8): Uint8Array {
  if (bits === 8) return values;
  const width = values.length / rows;
  const stride = Math.ceil(width / 2);
  const bytes = new Uint8Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < width; n++) bytes[row * stride + (n >> 1)]! |= values[row * width + n]! << (4 * (n & 1));
  }
  return bytes;
}

function dequantiseGroups(grouped: GroupedMatrix): Float32Array {
  const { rows, columns, bits, group, groupOf } = grouped;
  const groups = groupsOf(grouped);
  const [levels, scales, zeros] = [grouped.levels(), grouped.scales(), grouped.zeros?.()];
  const values = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      const level = bits === 8 ? levels[at]! : (levels[at >> 1]! >> (4 * (at & 1))) & 15;
      const from = row * groups + (groupOf?.[column] ?? Math.floor(column / group));
      values[at] = (level - (zeros?.[from] ?? 2 ** (bits - 1))) * scales[from]!;
    }
  }
  return values;
}
