/**
 * Q4_1 as 4-bit integers with zero points: d · q + m is d · (q − z) where m is −d times a whole number z of 0 to 15. Files made
 * of other quantised models are like that; most have some block that is not, and stay floats.
 */
import { bytesHalf } from './types.js';

const BLOCK = 32;
const BYTES = 20;

/** Whether all blocks have such a z: as many as are needed to tell are read. */
export function hasZeroPoints(data: Iterable<Uint8Array>): boolean {
  let rest: Uint8Array = new Uint8Array(0);
  for (const chunk of data) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % BYTES);
    for (let at = 0; at < whole; at += BYTES) if (zeroOf(bytes, at) === undefined) return false;
    rest = bytes.slice(whole);
  }
  return true;
}

function zeroOf(bytes: Uint8Array, at: number): number | undefined {
  const [d, m] = [bytesHalf(bytes, at), bytesHalf(bytes, at + 2)];
  const zero = d === 0 && m === 0 ? 0 : -m / d;
  // Both have 11 bits: what is whole here is so exactly, and so are products of it and d in 32 bits.
  return Number.isInteger(zero) && zero >= 0 && zero <= 15 && d * zero === -m ? zero : undefined;
}

export interface WithZeroPoints {
  /** As `Blocks` has it, of `rows` rows. */
  readonly data: Uint8Array;
  readonly scales: Float32Array;
  readonly zeroPoints: Uint8Array;
}

/** Of blocks for which `hasZeroPoints` holds. */
export function splitZeroPoints(bytes: Uint8Array, rows: number): WithZeroPoints {
  const perRow = bytes.length / BYTES / rows;
  const stride = Math.ceil(perRow / 2);
  const [data, scales] = [new Uint8Array(rows * perRow * (BLOCK / 2)), new Float32Array(rows * perRow)];
  const zeroPoints = new Uint8Array(rows * stride);
  for (let n = 0; n < scales.length; n++) {
    const at = n * BYTES;
    const [row, place] = [Math.floor(n / perRow), n % perRow];
    scales[n] = bytesHalf(bytes, at);
    zeroPoints[row * stride + (place >> 1)]! |= (zeroOf(bytes, at) ?? 0) << (4 * (place & 1));
    // Number i shares a byte with number i + 16 there, and with its neighbour here.
    for (let i = 0; i < BLOCK / 2; i++) {
      const [first, second] = [bytes[at + 4 + ((2 * i) & 15)]!, bytes[at + 4 + ((2 * i + 1) & 15)]!];
      const shift = i < 8 ? 0 : 4;
      data[n * (BLOCK / 2) + i] = ((first >> shift) & 15) | (((second >> shift) & 15) << 4);
    }
  }
  return { data, scales, zeroPoints };
}
