/**
 * ggml's K forms: super-blocks of 256 numbers in 8 or 16 parts; the scales of the parts, and what is taken off, are small
 * integers themselves, in units of two 16-bit floats of the super-block (ggml, block_q2_K to block_q6_K in ggml-common.h).
 */

/** The 16-bit float at a byte. */
export type Half = (at: number) => number;

/** From the bytes of a block to its levels, which begin at `to`, and their scales, which begin at `to` / part. */
export type UnpackScaled = (
  bytes: Uint8Array,
  at: number,
  half: Half,
  out: { readonly levels: Int8Array; readonly scales: Float32Array; readonly to: number },
) => void;

/** Parts of 16. Scale and offset share a byte; bits 2j and 2j + 1 of byte i are number 32j + i of their half of the block. */
export function q2K(bytes: Uint8Array, at: number, half: Half, out: Float32Array, to: number): void {
  const [d, least] = [half(at + 80), half(at + 82)];
  for (let part = 0; part < 16; part++) {
    const both = bytes[at + part]!;
    const scale = Math.fround(d * (both & 15));
    const offset = Math.fround(least * (both >> 4));
    const [codes, shift] = twoBits(at + 16, part);
    for (let i = 0; i < 16; i++) {
      out[to + 16 * part + i] = Math.fround(scale * ((bytes[codes + i]! >> shift) & 3)) - offset;
    }
  }
}

/** Where the two bits of the numbers of a part of 16 lie: byte of the first, and shift. */
function twoBits(start: number, part: number): readonly [at: number, shift: number] {
  return [start + 32 * (part >> 3) + 16 * (part & 1), 2 * ((part >> 1) & 3)];
}

/** Parts of 16, no offsets. A third bit of each number, 0 for −4, stands in a mask; scales have 6 bits, 32 for 0. */
export const q3K: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  const d = half(at + 108);
  for (let part = 0; part < 16; part++) {
    const low = (bytes[at + 96 + (part & 7)]! >> (4 * (part >> 3))) & 15;
    const high = (bytes[at + 104 + (part & 3)]! >> (2 * (part >> 2))) & 3;
    scales[to / 16 + part] = d * ((low | (high << 4)) - 32);
    const [codes, shift] = twoBits(at + 32, part);
    const mask = at + 16 * (part & 1);
    for (let i = 0; i < 16; i++) {
      const missing = ((bytes[mask + i]! >> (part >> 1)) & 1) ^ 1;
      levels[to + 16 * part + i] = ((bytes[codes + i]! >> shift) & 3) - 4 * missing;
    }
  }
};

/** Parts of 32; each 32 bytes hold the low halves of one part and the high ones of the next. */
export function q4K(bytes: Uint8Array, at: number, half: Half, out: Float32Array, to: number): void {
  const [d, least] = [half(at), half(at + 2)];
  for (let part = 0; part < 8; part++) {
    const scale = Math.fround(d * sixBitScale(bytes, at + 4, part));
    const offset = Math.fround(least * sixBitOffset(bytes, at + 4, part));
    const codes = at + 16 + 32 * (part >> 1);
    const shift = 4 * (part & 1);
    for (let i = 0; i < 32; i++) {
      out[to + 32 * part + i] = Math.fround(scale * ((bytes[codes + i]! >> shift) & 15)) - offset;
    }
  }
}

/** As q4K, with a fifth bit: bit n of byte i belongs to number i of part n. */
export function q5K(bytes: Uint8Array, at: number, half: Half, out: Float32Array, to: number): void {
  const [d, least] = [half(at), half(at + 2)];
  for (let part = 0; part < 8; part++) {
    const scale = Math.fround(d * sixBitScale(bytes, at + 4, part));
    const offset = Math.fround(least * sixBitOffset(bytes, at + 4, part));
    const codes = at + 48 + 32 * (part >> 1);
    const shift = 4 * (part & 1);
    for (let i = 0; i < 32; i++) {
      const fifth = (bytes[at + 16 + i]! >> part) & 1;
      out[to + 32 * part + i] = Math.fround(scale * (((bytes[codes + i]! >> shift) & 15) | (fifth << 4))) - offset;
    }
  }
}

/** Of the first four parts in a byte each; of the others four bits stand behind, two above those of the first. */
function sixBitScale(bytes: Uint8Array, at: number, part: number): number {
  if (part < 4) return bytes[at + part]! & 63;
  return (bytes[at + 4 + part]! & 15) | ((bytes[at + part - 4]! >> 6) << 4);
}

function sixBitOffset(bytes: Uint8Array, at: number, part: number): number {
  if (part < 4) return bytes[at + 4 + part]! & 63;
  return (bytes[at + 4 + part]! >> 4) | ((bytes[at + part]! >> 6) << 4);
}

/** Parts of 16 with scales of 8 bits, no offsets: 32 stands for 0. Four bits of a number in one place, two in another. */
export const q6K: UnpackScaled = (bytes, at, half, { levels, scales, to }) => {
  const d = half(at + 208);
  for (let part = 0; part < 16; part++) scales[to / 16 + part] = d * ((bytes[at + 192 + part]! << 24) >> 24);
  for (let i = 0; i < 256; i++) {
    // Halves of 128; in each the low bits of numbers 0 to 63 are those of 64 bytes, of 64 to 127 the high bits.
    const [which, within] = [i >> 7, i & 127];
    const low = (bytes[at + 64 * which + (within & 63)]! >> (4 * (within >> 6))) & 15;
    const high = (bytes[at + 128 + 32 * which + (within & 31)]! >> (2 * (within >> 5))) & 3;
    levels[to + i] = (low | (high << 4)) - 32;
  }
};
