/** From the number formats of checkpoints to 32-bit floats: exactly, but for 64-bit floats, which are rounded. */
import { bfloat16ToFloat32, float16ToFloat32 } from '@shoal/onnx';
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
