/**
 * Weights as small integers in blocks along each row, a scale per block: the format of MatMulNBits and
 * GatherBlockQuantized. The rounding minimises the squared error of each block instead of making the largest weight fit.
 */
import { ROUND, ScaleSearch } from './scale-search.js';

/** Weights that may share a scale, as MatMulNBits has kernels for. */
export const BLOCK_LENGTHS = [16, 32, 64, 128, 256] as const;

export interface BlockFormat {
  readonly bits: 4 | 8;
  /** Weights that share a scale. A row that is no multiple of it is padded with zeros. */
  readonly block: (typeof BLOCK_LENGTHS)[number];
  /** Symmetric: zero is the middle of the range. Asymmetric: each block has a zero point of its own. */
  readonly symmetric: boolean;
}

export interface Blocks {
  /** [rows, blocks, block · bits / 8]; of two 4-bit numbers in a byte the low half comes first. */
  readonly data: Uint8Array;
  /** [rows, blocks] */
  readonly scales: Float32Array;
  /** [rows, ⌈blocks · bits / 8⌉], packed like `data`; undefined for symmetric formats. */
  readonly zeroPoints: Uint8Array | undefined;
}

export function blocksPerRow(columns: number, { block }: BlockFormat): number {
  return Math.ceil(columns / block);
}

/** Byte lengths of what `quantiseBlocks` makes. */
export function blockSizes(rows: number, columns: number, format: BlockFormat) {
  const blocks = blocksPerRow(columns, format);
  return {
    data: (rows * blocks * format.block * format.bits) / 8,
    scales: rows * blocks * 4,
    zeroPoints: format.symmetric ? 0 : rows * Math.ceil((blocks * format.bits) / 8),
  };
}

/** `weights` is [rows, columns], row-major, all finite. */
export function quantiseBlocks(weights: Float32Array, rows: number, columns: number, format: BlockFormat): Blocks {
  const { bits, block, symmetric } = format;
  const blocks = blocksPerRow(columns, format);
  const sizes = blockSizes(rows, columns, format);
  const data = new Uint8Array(sizes.data);
  const scales = new Float32Array(rows * blocks);
  const zeroPoints = symmetric ? undefined : new Uint8Array(sizes.zeroPoints);
  const zeroStride = sizes.zeroPoints / rows;
  const search = new ScaleSearch(bits);
  const values = new Float64Array(block);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let n = 0; n < blocks; n++) {
      const start = row * columns + n * block;
      const length = Math.min(block, columns - n * block);
      for (let i = 0; i < length; i++) values[i] = weights[start + i]!;
      if (symmetric) search.symmetric(values, length);
      else search.asymmetric(values, length);
      const { scale, zero } = search;
      const inverse = scale === 0 ? 0 : 1 / scale;
      scales[row * blocks + n] = scale;
      if (zeroPoints) {
        if (bits === 8) zeroPoints[row * zeroStride + n] = zero;
        else zeroPoints[row * zeroStride + (n >> 1)]! |= zero << (4 * (n & 1));
      }
      const top = 2 ** bits - 1;
      if (bits === 8) {
        for (let i = 0; i < length; i++) data[at + i] = levelOf(values[i]! * inverse, zero, top);
        data.fill(zero, at + length, at + block);
        at += block;
      } else {
        for (let i = 0; i < block; i += 2, at++) {
          const low = i < length ? levelOf(values[i]! * inverse, zero, top) : zero;
          const high = i + 1 < length ? levelOf(values[i + 1]! * inverse, zero, top) : zero;
          data[at] = low | (high << 4);
        }
      }
    }
  }
  return { data, scales, zeroPoints };
}

/** The nearest of the levels 0 to `top`, where `zero` stands for 0. */
function levelOf(scaled: number, zero: number, top: number): number {
  let level = scaled + ROUND - ROUND + zero;
  if (level < 0) level = 0;
  else if (level > top) level = top;
  return level;
}
