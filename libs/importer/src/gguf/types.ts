/**
 * The forms in which GGUF files store weights (ggml_type), and what numbers their blocks stand for: those of ggml's
 * dequantize_row functions, to the bit.
 */
import { bfloat16ToFloat32, float16ToFloat32 } from '@shoal/onnx';
import { type Half, q2K, q3K, q4K, q5K, q6K, type UnpackScaled } from './super-blocks.js';

export interface GgmlType {
  readonly name: string;
  /** Numbers of a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** `blocks` holds whole blocks, one behind the other. Undefined where the form cannot be imported. */
  readonly dequantise?: (blocks: Uint8Array) => Float32Array;
  /** Of forms whose numbers are small integers times a scale: these, as others multiply by them. */
  readonly scaled?: ScaledForm;
}

export interface ScaledForm {
  /** That the integers, less the middle of the range, fit into. */
  readonly bits: 4 | 8;
  /** Numbers that share a scale. */
  readonly part: 16 | 32;
  readonly split: (blocks: Uint8Array) => Scaled;
}

export interface Scaled {
  readonly levels: Int8Array;
  readonly scales: Float32Array;
}

/** Numbers of the smaller blocks. */
const SMALL = 32;
/** Numbers of the larger ones. */
const SUPER = 256;

/** From the bytes of a block, which begins at `at`, to its numbers, which begin at `to` in `out`. */
type Unpack = (bytes: Uint8Array, at: number, half: Half, out: Float32Array, to: number) => void;

function blocks(name: string, block: number, bytes: number, unpack: Unpack): GgmlType {
  return {
    ...{ name, block, bytes },
    dequantise(data) {
      const out = new Float32Array((data.length / bytes) * block);
      const half = halfReader(data);
      for (let at = 0, to = 0; at < data.length; at += bytes, to += block) unpack(data, at, half, out, to);
      return out;
    },
  };
}

/** Every number is a level times the scale of its part. */
function scaled(
  name: string,
  block: number,
  bytes: number,
  { bits, part, unpack }: Pick<ScaledForm, 'bits' | 'part'> & { readonly unpack: UnpackScaled },
): GgmlType {
  const split = (data: Uint8Array): Scaled => {
    const count = (data.length / bytes) * block;
    const [levels, scales] = [new Int8Array(count), new Float32Array(count / part)];
    const half = halfReader(data);
    for (let at = 0, to = 0; at < data.length; at += bytes, to += block) unpack(data, at, half, { levels, scales, to });
    return { levels, scales };
  };
  return {
    ...{ name, block, bytes, scaled: { bits, part, split } },
    dequantise(data) {
      const { levels, scales } = split(data);
      const out = new Float32Array(levels.length);
      for (let i = 0; i < out.length; i++) out[i] = levels[i]! * scales[Math.floor(i / part)]!;
      return out;
    },
  };
}

const HALVES = float16ToFloat32(Uint16Array.from({ length: 65_536 }, (_, bits) => bits));

/** The 16-bit float at a byte. */
export function bytesHalf(bytes: Uint8Array, at: number): number {
  return HALVES[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

function halfReader(bytes: Uint8Array): Half {
  return (at) => bytesHalf(bytes, at);
}

function view<T>(make: new (buffer: ArrayBufferLike, at: number, length: number) => T, width: number) {
  return (bytes: Uint8Array): T => {
    const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
    return new make(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
  };
}
const words = view(Uint16Array, 2);

/** Number i shares a byte with number i + 16; 8 stands for 0. */
const q4_0: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  scales[to / SMALL] = half(at);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 2 + i]!;
    levels[to + i] = (pair & 15) - 8;
    levels[to + 16 + i] = (pair >> 4) - 8;
  }
};

/** d · q + m */
const q4_1: Unpack = (bytes, at, half, out, to) => {
  const [d, m] = [half(at), half(at + 2)];
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 4 + i]!;
    out[to + i] = Math.fround(d * (pair & 15)) + m;
    out[to + 16 + i] = Math.fround(d * (pair >> 4)) + m;
  }
};

/** 16 stands for 0; the fifth bits stand together, that of number i is bit i. */
const q5_0: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  scales[to / SMALL] = half(at);
  for (let i = 0; i < SMALL; i++) levels[to + i] = fiveBits(bytes, at + 2, i) - 16;
};

const q5_1: Unpack = (bytes, at, half, out, to) => {
  const [d, m] = [half(at), half(at + 2)];
  for (let i = 0; i < SMALL; i++) out[to + i] = Math.fround(d * fiveBits(bytes, at + 4, i)) + m;
};

function fiveBits(bytes: Uint8Array, at: number, i: number): number {
  const low = (bytes[at + 4 + (i & 15)]! >> (4 * (i >> 4))) & 15;
  return low | (((bytes[at + (i >> 3)]! >> (i & 7)) & 1) << 4);
}

const q8_0: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  scales[to / SMALL] = half(at);
  for (let i = 0; i < SMALL; i++) levels[to + i] = bytes[at + 2 + i]!;
};

/** What the codes of the IQ4 forms stand for (kvalues_iq4nl): levels as dense as weights are. */
const IQ4 = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

const iq4Nl: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  scales[to / SMALL] = half(at);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 2 + i]!;
    levels[to + i] = IQ4[pair & 15]!;
    levels[to + 16 + i] = IQ4[pair >> 4]!;
  }
};

/** Eight blocks of 32, each with a scale of 6 bits: four low ones in a nibble, two high ones of all in a word before. */
const iq4Xs: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  const d = half(at);
  const high = bytes[at + 2]! | (bytes[at + 3]! << 8);
  for (let n = 0; n < 8; n++) {
    const low = (bytes[at + 4 + (n >> 1)]! >> (4 * (n & 1))) & 15;
    scales[to / SMALL + n] = d * ((low | (((high >> (2 * n)) & 3) << 4)) - 32);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 8 + 16 * n + i]!;
      levels[to + 32 * n + i] = IQ4[pair & 15]!;
      levels[to + 32 * n + 16 + i] = IQ4[pair >> 4]!;
    }
  }
};

/** By ggml's number. Those without `dequantise` are known by name, so that they can be refused by it. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map<number, GgmlType>([
  [0, { name: 'F32', block: 1, bytes: 4, dequantise: view(Float32Array, 4) }],
  [1, { name: 'F16', block: 1, bytes: 2, dequantise: (bytes) => float16ToFloat32(words(bytes)) }],
  [2, scaled('Q4_0', SMALL, 18, { bits: 4, part: 32, unpack: q4_0 })],
  [3, blocks('Q4_1', SMALL, 20, q4_1)],
  [6, scaled('Q5_0', SMALL, 22, { bits: 8, part: 32, unpack: q5_0 })],
  [7, blocks('Q5_1', SMALL, 24, q5_1)],
  [8, scaled('Q8_0', SMALL, 34, { bits: 8, part: 32, unpack: q8_0 })],
  [9, { name: 'Q8_1', block: SMALL, bytes: 40 }],
  [10, blocks('Q2_K', SUPER, 84, q2K)],
  [11, scaled('Q3_K', SUPER, 110, { bits: 4, part: 16, unpack: q3K })],
  [12, blocks('Q4_K', SUPER, 144, q4K)],
  [13, blocks('Q5_K', SUPER, 176, q5K)],
  [14, scaled('Q6_K', SUPER, 210, { bits: 8, part: 16, unpack: q6K })],
  [15, { name: 'Q8_K', block: SUPER, bytes: 292 }],
  [16, { name: 'IQ2_XXS', block: SUPER, bytes: 66 }],
  [17, { name: 'IQ2_XS', block: SUPER, bytes: 74 }],
  [18, { name: 'IQ3_XXS', block: SUPER, bytes: 98 }],
  [19, { name: 'IQ1_S', block: SUPER, bytes: 50 }],
  [20, scaled('IQ4_NL', SMALL, 18, { bits: 8, part: 32, unpack: iq4Nl })],
  [21, { name: 'IQ3_S', block: SUPER, bytes: 110 }],
  [22, { name: 'IQ2_S', block: SUPER, bytes: 82 }],
  [23, scaled('IQ4_XS', SUPER, 136, { bits: 8, part: 32, unpack: iq4Xs })],
  [24, { name: 'I8', block: 1, bytes: 1 }],
  [25, { name: 'I16', block: 1, bytes: 2 }],
  [26, { name: 'I32', block: 1, bytes: 4 }],
  [27, { name: 'I64', block: 1, bytes: 8 }],
  [28, { name: 'F64', block: 1, bytes: 8 }],
  [29, { name: 'IQ1_M', block: SUPER, bytes: 56 }],
  [30, { name: 'BF16', block: 1, bytes: 2, dequantise: (bytes) => bfloat16ToFloat32(words(bytes)) }],
  [34, { name: 'TQ1_0', block: SUPER, bytes: 54 }],
  [35, { name: 'TQ2_0', block: SUPER, bytes: 66 }],
  [39, { name: 'MXFP4', block: SMALL, bytes: 17 }],
  [40, { name: 'NVFP4', block: 64, bytes: 36 }],
]);
