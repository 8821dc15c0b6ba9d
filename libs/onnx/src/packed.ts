/** The typed fields of a TensorProto (`float_data`, `int64_data`, ...), which are left in the file until they are asked for. */
import { byteLengthOf, type OnnxType } from './element-types.js';
import { invalid } from './invalid.js';
import { dataOf, lazyData, type TensorData } from './tensor-data.js';

const MAX_VARINT_BYTES = 10;
/** Bits of a varint that a number holds exactly, with the bytes that they come in; the other 21 bits are a number as well. */
const LOW_BITS = 49;
const LOW_BYTES = 7;

type Ints = BigInt64Array | Int32Array | Uint16Array | Uint8Array;

/** Floats and doubles are packed as `raw_data` is. */
export function joinedData(parts: readonly TensorData[]): TensorData {
  if (parts.length === 0) return dataOf(new Uint8Array());
  if (parts.length === 1) return parts[0]!;
  return lazyData(lengthOf(parts), () => Buffer.concat(parts.map((part) => part.bytes())));
}

/**
 * Integers are packed as varints: one for each element, but for those of 4 bits and less (a byte of them).
 *
 * @throws ShoalError `model_invalid` where `expected` bytes of elements cannot be in so many bytes; where another number of them
 * is, when it is read
 */
export function varintData(parts: readonly TensorData[], type: OnnxType, expected: number, what: string): TensorData {
  const width = Math.max(1, byteLengthOf(type, [1], what)!);
  const count = expected / width;
  const length = lengthOf(parts);
  if (length < count || length > count * MAX_VARINT_BYTES) {
    throw invalid(`${what} has ${length} bytes of integers where its type and shape need ${count} integers`);
  }
  return lazyData(expected, () => readInts(parts, intsOf(width, count), what));
}

function lengthOf(parts: readonly TensorData[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function intsOf(width: number, count: number): Ints {
  if (width === 8) return new BigInt64Array(count);
  if (width === 4) return new Int32Array(count);
  return width === 2 ? new Uint16Array(count) : new Uint8Array(count);
}

function readInts(parts: readonly TensorData[], into: Ints, what: string): Ints {
  let [found, bytes, low, high] = [0, 0, 0, 0];
  for (const part of parts) {
    for (const chunk of part.chunks()) {
      for (const byte of chunk) {
        if (bytes < LOW_BYTES) low += (byte & 0x7f) * 2 ** (7 * bytes);
        else high += (byte & 0x7f) * 2 ** (7 * (bytes - LOW_BYTES));
        if (++bytes > MAX_VARINT_BYTES) throw invalid(`${what} has an integer of more than ten bytes`);
        if (byte >= 0x80) continue;
        if (found === into.length) throw invalid(`${what} has more integers than its shape says`);
        if (into instanceof BigInt64Array) into[found] = BigInt(low) + (BigInt(high) << BigInt(LOW_BITS));
        // The lowest 32 bits, which the first 7 bytes hold, tell the same number.
        else into[found] = low;
        found++;
        [bytes, low, high] = [0, 0, 0];
      }
    }
  }
  if (bytes > 0) throw invalid(`${what} has an integer that does not end`);
  if (found < into.length) throw invalid(`${what} has ${found} integers, not as many as its shape says`);
  return into;
}
