/** The wire's tensors as callers read them. */
import type { WireTensor } from '@shoal/contracts';
import { LazyList } from '../lazy-list.js';
import { ELEMENTS, elementCount, type TypedData, viewBytes } from './elements.js';

/** Nested lists (64-bit integers, NaN and infinities as strings) or base64 of little-endian bytes. */
export type ShownTensor =
  | { readonly type: string; readonly shape: readonly number[]; readonly data: unknown }
  | { readonly type: string; readonly shape: readonly number[]; readonly base64: string };

/** Strings have no bytes to encode, so they are nested lists in either encoding. */
export function showTensor({ type, dims, data }: WireTensor, encoding: 'json' | 'base64'): ShownTensor {
  if (type === 'string') {
    const strings = data as readonly string[];
    return { type, shape: dims, data: nest(dims, (i) => strings[i]) };
  }
  const bytes = data as Uint8Array;
  if (encoding === 'base64') {
    const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    return { type, shape: dims, base64 };
  }
  const values: TypedData = viewBytes(type, bytes);
  const { show } = ELEMENTS[type];
  return { type, shape: dims, data: nest(dims, (i) => show(values[i]!)) };
}

/** Rows of more values than this are made when they are asked for. */
const EAGER_VALUES = 4096;

function nest(dims: readonly number[], value: (index: number) => unknown): unknown {
  const descend = (level: number, from: number): unknown => {
    if (level === dims.length) return value(from);
    const stride = elementCount(dims.slice(level + 1));
    const length = dims[level]!;
    const list = LazyList.of(length, (i) => descend(level + 1, from + i * stride));
    return length * stride > EAGER_VALUES ? list : [...list];
  };
  return descend(0, 0);
}
