/** From the number formats of checkpoints to 32-bit floats, exactly. */
import type { StoredTensor } from './safetensors.js';

/** Every half-precision number (IEEE 754 binary16) by its bits. */
const HALVES = Float32Array.from({ length: 65_536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

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
      return Float32Array.from(view(Uint16Array, 2), (bits) => HALVES[bits]!);
    case 'BF16': {
      // A bfloat16 is the upper half of a float32.
      const wide = Uint32Array.from(view(Uint16Array, 2), (bits) => bits << 16);
      return new Float32Array(wide.buffer);
    }
    case 'F64':
      return Float32Array.from(view(Float64Array, 8));
    default:
      return undefined;
  }
}
