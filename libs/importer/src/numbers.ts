/** From the number formats of checkpoints to 32-bit floats: exactly, but for 64-bit floats, which are rounded. */
import { bfloat16ToFloat32, float16ToFloat32 } from '@shoal/onnx';
import { invalid } from './invalid.js';
import type { StoredTensor } from './safetensors.js';

/** The numbers of a tensor of floats, in memory. Undefined for integers, which are no weights. */
export function toFloat32({ type, data }: StoredTensor): Float32Array | undefined {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const view = <T>(array: new (buffer: ArrayBufferLike, offset: number, length: number) => T, width: number) =>
    new array(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
  switch (type) {
    case 'F32':
      return view(Float32Array, 4);
    case 'F16':
      return float16ToFloat32(view(Uint16Array, 2));
    case 'BF16':
      return bfloat16ToFloat32(view(Uint16Array, 2));
    case 'F64':
      return Float32Array.from(view(Float64Array, 8));
    default:
      return undefined;
  }
}

/** The numbers of a tensor called `name`. @throws ShoalError `model_invalid` where they are no floats, or not finite */
export function finiteFloats(tensor: StoredTensor, name: string): Float32Array {
  const values = toFloat32(tensor);
  if (values === undefined) {
    throw invalid(`${name} is of type ${tensor.type}: only F32, F16, BF16 and F64 weights can be imported`);
  }
  return finite(values, name);
}

/** `values`, those of what is called `name`. @throws ShoalError `model_invalid` where they are not all finite */
export function finite(values: Float32Array, name: string): Float32Array {
  let sum = 0;
  // Any number times 0 is 0, but for NaN and infinity: they leave NaN.
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  if (sum === 0) return values;
  throw invalid(`${name} holds NaN or infinite numbers: no model can be made of them`);
}
