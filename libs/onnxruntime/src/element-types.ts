/** Element types: the number ONNX Runtime knows each by, and the typed array that holds it. */
import type { ElementType } from '@shoal/contracts';
import type { TypedArray } from './types.js';

interface ArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
}

/** `ONNXTensorElementDataType`, which also is `TensorProto.DataType` of an ONNX file. */
const CODES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const satisfies Record<ElementType, number>;

const ARRAYS: Record<Exclude<ElementType, 'string'>, ArrayConstructor> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

const TYPES = new Map<number, ElementType>(Object.entries(CODES).map(([type, code]) => [code, type as ElementType]));

export function elementCode(type: ElementType): number {
  return CODES[type];
}

/** Undefined for the types Shoal does not carry (complex, 8-bit and 4-bit floats, 4-bit integers). */
export function elementType(code: number): ElementType | undefined {
  return TYPES.get(code);
}

export function arrayOf(type: Exclude<ElementType, 'string'>): ArrayConstructor {
  return ARRAYS[type];
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((count, dim) => count * dim, 1);
}
