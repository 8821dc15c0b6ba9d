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

/** What errors of weights cost; nothing: all alike. */
export interface Weighing {
  /** How much errors at each input count, [columns], all above 0. */
  readonly importance?: Float32Array | undefined;
  /** How an error at one input is made up for by those that follow: `Tuning.feedback`. It says what errors count, too. */
  readonly feedback?: Float64Array | undefined;
}

/** `weights` is [rows, columns], row-major, all finite. */
export function quantiseBlocks(
  weights: Float32Array,
  rows: number,
  columns: number,
  format: BlockFormat,
  { feedback, importance = feedback && remaining(feedback, columns) }: Weighing = {},
): Blocks {
  const { bits, block, symmetric } = format;
  const blocks = blocksPerRow(columns, format);
  const sizes = blockSizes(rows, columns, format);
  const data = new Uint8Array(sizes.data);
  const scales = new Float32Array(rows * blocks);
  const zeroPoints = symmetric ? undefined : new Uint8Array(sizes.zeroPoints);
  const zeroStride = sizes.zeroPoints / rows;
  const search = new ScaleSearch(bits);
  const top = 2 ** bits - 1;
  const values = new Float64Array(block);
  const counts = Array.from({ length: blocks }, (_, n) => importance && unevenPart(importance, n * block, block));
  const moved = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    moved.set(weights.subarray(row * columns, (row + 1) * columns));
    for (let n = 0; n < blocks; n++) {
      const start = n * block;
      const length = Math.min(block, columns - n * block);
      for (let i = 0; i < length; i++) values[i] = moved[start + i]!;
      if (symmetric) search.symmetric(values, length, counts[n]);
      else search.asymmetric(values, length, counts[n]);
      const { scale, zero } = search;
      const inverse = scale === 0 ? 0 : 1 / scale;
      scales[row * blocks + n] = scale;
      if (zeroPoints) {
        if (bits === 8) zeroPoints[row * zeroStride + n] = zero;
        else zeroPoints[row * zeroStride + (n >> 1)]! |= zero << (4 * (n & 1));
      }
      if (feedback) roundInTurn(values, moved, { start, length, scale, zero, top }, feedback);
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

interface Turn {
  readonly start: number;
  readonly length: number;
  readonly scale: number;
  readonly zero: number;
  readonly top: number;
}

/** Makes `values`, a block of a row, what levels stand for; the rest of the row (`moved`) makes up for the errors of each. */
function roundInTurn(
  values: Float64Array,
  moved: Float64Array,
  { start, length, scale, zero, top }: Turn,
  feedback: Float64Array,
): void {
  const columns = moved.length;
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = 0, at = start; i < length; i++, at++) {
    const value = moved[at]!;
    const rounded = (levelOf(value * inverse, zero, top) - zero) * scale;
    values[i] = rounded;
    const wrong = (value - rounded) / feedback[at * columns + at]!;
    for (let j = at + 1, from = at * columns; j < columns; j++) moved[j]! -= wrong * feedback[from + j]!;
  }
}

/** What an error at each input counts once those that follow have made up for what they can. */
function remaining(feedback: Float64Array, columns: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, n) => 1 / feedback[n * columns + n]! ** 2);
}

/** The nearest of the levels 0 to `top`, where `zero` stands for 0. */
function levelOf(scaled: number, zero: number, top: number): number {
  let level = scaled + ROUND - ROUND + zero;
  if (level < 0) level = 0;
  else if (level > top) level = top;
  return level;
}

/** What the inputs of one block count; undefined where they count alike, and the plain search does. */
function unevenPart(importance: Float32Array, start: number, block: number): Float64Array | undefined {
  const part = Float64Array.from(importance.subarray(start, start + block));
  return part.every((value) => value === part[0]) ? undefined : part;
}
