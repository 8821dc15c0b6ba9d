/** Element types of ONNX tensors: `TensorProto.DataType` of onnx.proto by name, with the bits of one element. */
import { invalid } from './invalid.js';

/** Name → [code, bits of one element]; strings have no fixed size. Types of 4 bits are packed two to a byte. */
const TYPES = {
  float32: [1, 32],
  uint8: [2, 8],
  int8: [3, 8],
  uint16: [4, 16],
  int16: [5, 16],
  int32: [6, 32],
  int64: [7, 64],
  string: [8, 0],
  bool: [9, 8],
  float16: [10, 16],
  float64: [11, 64],
  uint32: [12, 32],
  uint64: [13, 64],
  complex64: [14, 64],
  complex128: [15, 128],
  bfloat16: [16, 16],
  float8e4m3fn: [17, 8],
  float8e4m3fnuz: [18, 8],
  float8e5m2: [19, 8],
  float8e5m2fnuz: [20, 8],
  uint4: [21, 4],
  int4: [22, 4],
  float4e2m1: [23, 4],
  float8e8m0: [24, 8],
  uint2: [25, 2],
  int2: [26, 2],
} as const satisfies Record<string, readonly [code: number, bits: number]>;

export type OnnxType = keyof typeof TYPES;

const NAMES = new Map(Object.entries(TYPES).map(([name, [code]]) => [code as number, name as OnnxType]));

export function codeOf(type: OnnxType): number {
  return TYPES[type][0];
}

/** @throws ShoalError `model_invalid` for a code that onnx.proto does not have */
export function typeOf(code: number, what: string): OnnxType {
  const type = NAMES.get(code);
  if (type === undefined) throw invalid(`${what} has element type ${code}, which ONNX does not have`);
  return type;
}

export function isOnnxType(type: string): type is OnnxType {
  return Object.hasOwn(TYPES, type);
}

/** Elements of a tensor. @throws ShoalError `model_invalid` where there are more than can be counted exactly */
export function countOf(dims: readonly number[], what: string): number {
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(count))
    throw invalid(`${what} has impossible dimensions (${dims.slice(0, 8).join(' × ')})`);
  return count;
}

/** Bytes of `raw_data`; undefined for strings, whose size is that of their texts. */
export function byteLengthOf(type: OnnxType, dims: readonly number[], what: string): number | undefined {
  const bits = TYPES[type][1];
  const count = countOf(dims, what);
  return bits === 0 ? undefined : Math.ceil((count * bits) / 8);
}
