/** How values of each element type are read from JSON, kept in memory, and shown. Bytes are little-endian. */
import type { ElementType } from '@shoal/contracts';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from '@shoal/onnx';
import { shortest } from '../numbers/shortest.js';
import type { TensorData } from '../session.js';

export type FixedType = Exclude<ElementType, 'string'>;
export type TypedData = Exclude<TensorData, string[]>;

export interface ElementKind {
  readonly bytes: number;
  /** A view of memory that starts on a multiple of eight bytes. */
  view(memory: ArrayBuffer): TypedData;
  /** A JSON value as the view stores it, or undefined where it is not one of this type. */
  read(value: unknown): number | bigint | undefined;
  /** A stored value as JSON has it. */
  show(stored: number | bigint): number | string | boolean;
  /** What `read` accepts, for messages. */
  readonly accepts: string;
}

const NOT_FINITE: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

function readFloat(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? NOT_FINITE.get(value) : undefined;
}

/** JSON has no NaN and no infinities, and null would hide which one it was: they are strings. */
function showFloat(value: number): number | string {
  return Number.isFinite(value) ? shortest(value) : String(value);
}

const FLOAT = 'a number, "NaN", "Infinity" or "-Infinity"';

function half(toBits: (value: number) => number, fromBits: (bits: Uint16Array) => Float32Array): ElementKind {
  return {
    bytes: 2,
    view: (memory) => new Uint16Array(memory),
    read: (value) => {
      const float = readFloat(value);
      return float === undefined ? undefined : toBits(float);
    },
    show: (bits) => showFloat(fromBits(Uint16Array.of(Number(bits)))[0]!),
    accepts: FLOAT,
  };
}

function integer(bytes: number, min: number, max: number, view: (memory: ArrayBuffer) => TypedData): ElementKind {
  return {
    bytes,
    view,
    read: (value) =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    show: Number,
    accepts: `an integer from ${min} to ${max}`,
  };
}

/** Integers beyond 2^53 do not survive JSON numbers, so 64-bit ones are shown as strings and read as either. */
function wide(signed: boolean, view: (memory: ArrayBuffer) => TypedData): ElementKind {
  const wrap = signed ? BigInt.asIntN : BigInt.asUintN;
  return {
    bytes: 8,
    view,
    read: (value) => {
      const exact = Number.isSafeInteger(value) || (typeof value === 'string' && /^-?[0-9]{1,20}$/.test(value));
      if (!exact) return undefined;
      const big = BigInt(value as number | string);
      return wrap(64, big) === big ? big : undefined;
    },
    show: String,
    accepts: `${signed ? 'a signed' : 'an unsigned'} 64-bit integer, as a string beyond 2^53`,
  };
}

export const ELEMENTS: Readonly<Record<FixedType, ElementKind>> = {
  float32: {
    bytes: 4,
    view: (memory) => new Float32Array(memory),
    read: readFloat,
    show: (v) => showFloat(Number(v)),
    accepts: FLOAT,
  },
  float64: {
    bytes: 8,
    view: (memory) => new Float64Array(memory),
    read: readFloat,
    show: (value) => (Number.isFinite(value) ? Number(value) : String(value)),
    accepts: FLOAT,
  },
  float16: half(float32ToFloat16, float16ToFloat32),
  bfloat16: half(float32ToBfloat16, bfloat16ToFloat32),
  int8: integer(1, -128, 127, (memory) => new Int8Array(memory)),
  int16: integer(2, -32_768, 32_767, (memory) => new Int16Array(memory)),
  int32: integer(4, -(2 ** 31), 2 ** 31 - 1, (memory) => new Int32Array(memory)),
  int64: wide(true, (memory) => new BigInt64Array(memory)),
  uint8: integer(1, 0, 255, (memory) => new Uint8Array(memory)),
  uint16: integer(2, 0, 65_535, (memory) => new Uint16Array(memory)),
  uint32: integer(4, 0, 2 ** 32 - 1, (memory) => new Uint32Array(memory)),
  uint64: wide(false, (memory) => new BigUint64Array(memory)),
  bool: {
    bytes: 1,
    view: (memory) => new Uint8Array(memory),
    read: (value) => (value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined),
    show: (value) => value !== 0,
    accepts: 'true or false',
  },
};

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

/** Bytes as values: a copy, because what comes from the network is not aligned. */
export function viewBytes(type: FixedType, bytes: Uint8Array): TypedData {
  const memory = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(memory).set(bytes);
  return ELEMENTS[type].view(memory);
}

/** The bytes of `data` between two element indices, copied. */
export function copyBytes(data: TypedData, from: number, to: number): Uint8Array {
  const size = data.BYTES_PER_ELEMENT;
  return new Uint8Array(data.buffer, data.byteOffset + from * size, (to - from) * size).slice();
}
