/** Joining items along the first dimension for one forward pass, and taking its outputs apart again. */
import type { TensorsItem, WireTensor } from '@shoal/contracts';
import type { SessionTensor, TensorData } from '../session.js';
import { copyBytes, ELEMENTS, elementCount, viewBytes } from './elements.js';

/** Feeds of one pass. The items have the same types and inner dimensions (equal group keys). */
export function joinItems(items: readonly TensorsItem[]): Record<string, SessionTensor> {
  const feeds: Record<string, SessionTensor> = {};
  for (const name of Object.keys(items[0]!.tensors)) {
    feeds[name] = joinTensors(items.map(({ tensors }) => tensors[name]!));
  }
  return feeds;
}

function joinTensors(tensors: readonly WireTensor[]): SessionTensor {
  const { type, dims } = tensors[0]!;
  const joined = tensors.length === 1 ? dims : [tensors.reduce((rows, t) => rows + t.dims[0]!, 0), ...dims.slice(1)];
  if (type === 'string') {
    return { type, dims: joined, data: tensors.flatMap(({ data }) => data as readonly string[]) };
  }
  if (tensors.length === 1) return { type, dims, data: viewBytes(type, tensors[0]!.data as Uint8Array) };
  const memory = new ArrayBuffer(elementCount(joined) * ELEMENTS[type].bytes);
  let at = 0;
  for (const { data } of tensors) {
    new Uint8Array(memory).set(data as Uint8Array, at);
    at += data.length;
  }
  return { type, dims: joined, data: ELEMENTS[type].view(memory) };
}

/** Rows `from` to `to` of an output, copied out of the session's memory; all of it where `to` is undefined. */
export function sliceOutput({ type, dims, data }: SessionTensor, from = 0, to?: number): WireTensor {
  const stride = elementCount(dims.slice(1));
  const first = to === undefined ? 0 : from * stride;
  const last = to === undefined ? data.length : to * stride;
  const shape = to === undefined ? dims : [to - from, ...dims.slice(1)];
  return { type, dims: shape, data: sliceData(data, first, last) };
}

function sliceData(data: TensorData, from: number, to: number): WireTensor['data'] {
  return Array.isArray(data) ? data.slice(from, to) : copyBytes(data, from, to);
}

export function wireBytes({ data }: WireTensor): number {
  if (data instanceof Uint8Array) return data.byteLength;
  return data.reduce((bytes, text) => bytes + Buffer.byteLength(text) + 5, 0);
}
