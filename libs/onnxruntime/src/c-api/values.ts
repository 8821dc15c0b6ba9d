/** Tensors of JavaScript as values of ONNX Runtime, and back. */
import { ShoalError } from '@shoal/contracts';
import { arrayOf, elementCode, elementCount, elementType } from '../element-types.js';
import type { Tensor } from '../types.js';
import type { OrtApi } from './api.js';
import { addressOf, copyOf, NativeTexts } from './memory.js';

/** What every session of a process shares. */
export interface Native {
  readonly api: OrtApi;
  readonly env: bigint;
  /** The default CPU allocator; owned by ONNX Runtime. */
  readonly allocator: bigint;
  readonly cpu: bigint;
}

/**
 * Values and the memory they point to, held until `release`. A run keeps its own until the native call has ended: without
 * a reference from here the garbage collector might free memory that ONNX Runtime is reading.
 */
export class Values {
  readonly #native: Native;
  #pointers: bigint[] = [];
  #memory: unknown[] = [];

  constructor(native: Native) {
    this.#native = native;
  }

  /** Numbers stay where they are; strings are copied. The tensor has been checked. */
  add({ type, dims, data }: Tensor): bigint {
    const { api, allocator, cpu } = this.#native;
    const shape = BigInt64Array.from(dims, BigInt);
    const code = elementCode(type);
    if (Array.isArray(data)) {
      const value = this.own(api.get('CreateTensorAsOrtValue', allocator, shape, dims.length, code));
      api.call('FillStringTensor', value, this.hold(new NativeTexts(data)).pointers, data.length);
      return value;
    }
    this.hold(data);
    return this.own(
      api.get('CreateTensorWithDataAsOrtValue', cpu, addressOf(data), data.byteLength, shape, dims.length, code),
    );
  }

  /** Takes over a value made elsewhere. */
  own(pointer: bigint): bigint {
    if (pointer !== 0n) this.#pointers.push(pointer);
    return pointer;
  }

  /** Keeps memory alive that native code points to. */
  hold<T>(memory: T): T {
    this.#memory.push(memory);
    return memory;
  }

  release(): void {
    for (const pointer of this.#pointers) this.#native.api.release('Value', pointer);
    this.#pointers = [];
    this.#memory = [];
  }
}

/** Copies a value in CPU memory. */
export function readValue({ api }: Native, value: bigint): Tensor {
  const info = api.get('GetTensorTypeAndShape', value);
  let type: ReturnType<typeof elementType>;
  let dims: number[];
  try {
    type = elementType(Number(api.get('GetTensorElementType', info)));
    const shape = new BigInt64Array(Number(api.get('GetDimensionsCount', info)));
    api.call('GetDimensions', info, shape, shape.length);
    dims = Array.from(shape, Number);
  } finally {
    api.release('TensorTypeAndShapeInfo', info);
  }
  if (type === undefined)
    throw new ShoalError('inference_failed', 'An output has an element type that Shoal does not carry');
  const count = elementCount(dims);
  if (type === 'string') return { type, dims, data: readTexts(api, value, count) };
  const array = arrayOf(type);
  return {
    type,
    dims,
    data: new array(copyOf(api.get('GetTensorMutableData', value), count * array.BYTES_PER_ELEMENT)),
  };
}

function readTexts(api: OrtApi, value: bigint, count: number): string[] {
  if (count === 0) return [];
  const bytes = Buffer.alloc(Number(api.get('GetStringTensorDataLength', value)));
  const offsets = new BigUint64Array(count);
  api.call('GetStringTensorContent', value, bytes, bytes.length, offsets, count);
  return Array.from(offsets, (start, i) =>
    bytes.toString('utf8', Number(start), Number(offsets[i + 1] ?? bytes.length)),
  );
}
