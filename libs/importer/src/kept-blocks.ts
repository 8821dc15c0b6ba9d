/**
 * Weights that were integers in blocks before they came here, by GPTQ, in a GGUF file or in another ONNX model. They are kept:
 * the graph gets these integers and scales, laid out as MatMulNBits reads them, and nothing is rounded a second time.
 */
import { type BlockFormat, type Blocks, blockSizes, blocksPerRow } from './precision/quantise-blocks.js';

export interface KeptBlocks {
  readonly rows: number;
  readonly columns: number;
  readonly format: BlockFormat;
  /**
   * Which column of the matrix stands at each place of a row of blocks, where columns are not in their own order: a permutation
   * of 0 to columns - 1. What is multiplied is put into this order first.
   */
  readonly order?: Uint32Array;
  /** Read at each use: each part as `Blocks` has it, `zeroPoints` where the format is not symmetric. */
  data(): Uint8Array;
  scales(): Float32Array;
  zeroPoints?(): Uint8Array;
}

/** (level - zero point) · scale in 32-bit floats: [rows, columns], row-major, columns in their own order. */
export function dequantise(kept: KeptBlocks): Float32Array {
  const { rows, columns, format, order } = kept;
  const { bits, block, symmetric } = format;
  const blocks = blocksPerRow(columns, format);
  const zeroStride = Math.ceil((blocks * bits) / 8);
  const [data, scales, zeros] = [kept.data(), kept.scales(), symmetric ? undefined : kept.zeroPoints?.()];
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < blocks; n++) {
      const at = row * blocks + n;
      const zero = zeros === undefined ? 2 ** (bits - 1) : levelAt(zeros, row * zeroStride, n, bits);
      const end = Math.min(columns, (n + 1) * block);
      for (let place = n * block; place < end; place++) {
        const level = levelAt(data, (at * block * bits) / 8, place - n * block, bits);
        values[row * columns + (order === undefined ? place : order[place]!)] = (level - zero) * scales[at]!;
      }
    }
  }
  return values;
}

/** The `n`th number of those that are packed from byte `start` on; of two in a byte the low half comes first. */
function levelAt(packed: Uint8Array, start: number, n: number, bits: 4 | 8): number {
  if (bits === 8) return packed[start + n]!;
  return (packed[start + (n >> 1)]! >> (4 * (n & 1))) & 15;
}

/** `rows` rows, each that which `from` names: a part of the matrix, or its rows in another order. */
export function pickKeptRows(kept: KeptBlocks, rows: number, from: (row: number) => number): KeptBlocks {
  const pick = <T extends Uint8Array | Float32Array>(values: T): T => {
    const width = values.length / kept.rows;
    const picked = new (values.constructor as new (length: number) => T)(rows * width);
    for (let row = 0; row < rows; row++) {
      picked.set(values.subarray(from(row) * width, (from(row) + 1) * width), row * width);
    }
    return picked;
  };
  return {
    ...kept,
    rows,
    data: () => pick(kept.data()),
    scales: () => pick(kept.scales()),
    ...(kept.zeroPoints && { zeroPoints: () => pick(kept.zeroPoints!()) }),
  };
}

/** One above the other. Undefined where a part is not kept, or they differ in columns, form or order. */
export function stackKept(parts: readonly (KeptBlocks | undefined)[]): KeptBlocks | undefined {
  const [first] = parts;
  if (first === undefined || !parts.every((part) => part !== undefined && haveOneForm(part, first))) return undefined;
  const all = parts as readonly KeptBlocks[];
  const rows = all.reduce((sum, part) => sum + part.rows, 0);
  const sizes = blockSizes(rows, first.columns, first.format);
  const stack = <T extends Uint8Array | Float32Array>(to: T, read: (part: KeptBlocks) => T): T => {
    let at = 0;
    for (const part of all) {
      const values = read(part);
      to.set(values, at);
      at += values.length;
    }
    return to;
  };
  return {
    ...first,
    rows,
    data: () => stack<Uint8Array>(new Uint8Array(sizes.data), (part) => part.data()),
    scales: () => stack<Float32Array>(new Float32Array(sizes.scales / 4), (part) => part.scales()),
    ...(!first.format.symmetric && {
      zeroPoints: () => stack<Uint8Array>(new Uint8Array(sizes.zeroPoints), (part) => part.zeroPoints!()),
    }),
  };
}

function haveOneForm(a: KeptBlocks, b: KeptBlocks): boolean {
  const { bits, block, symmetric } = a.format;
  if (a.columns !== b.columns || bits !== b.format.bits || block !== b.format.block) return false;
  if (symmetric !== b.format.symmetric || (a.order === undefined) !== (b.order === undefined)) return false;
  return a.order === undefined || a.order.every((column, place) => column === b.order![place]);
}

/** Blocks that are in memory already. */
export function keptOf(
  rows: number,
  columns: number,
  format: BlockFormat,
  { data, scales, zeroPoints }: Blocks,
): KeptBlocks {
  return {
    ...{ rows, columns, format, data: () => data, scales: () => scales },
    ...(zeroPoints && { zeroPoints: () => zeroPoints }),
  };
}
