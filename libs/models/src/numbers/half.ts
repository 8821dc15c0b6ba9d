/** Outputs of any floating-point type as float32. */
import { bfloat16ToFloat32, float16ToFloat32 } from '@shoal/onnx';
import type { SessionTensor } from '../session.js';

/** A floating-point output as float32; the same memory where it already is. */
export function toFloat32(tensor: SessionTensor): Float32Array {
  const { data, type } = tensor;
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  if (data instanceof Uint16Array && type === 'float16') return float16ToFloat32(data);
  if (data instanceof Uint16Array && type === 'bfloat16') return bfloat16ToFloat32(data);
  throw new TypeError(`the graph gives ${type} where floating point is expected`);
}
