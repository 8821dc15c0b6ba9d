/** What a loaded model says of itself: inputs, outputs, metadata. */
import { ShoalError } from '@shoal/contracts';
import type { Device } from '../device-names.js';
import { elementType } from '../element-types.js';
import type { ModelMetadata, TensorInfo } from '../types.js';
import type { StatusFunction } from './api.js';
import { textAt, wordsAt } from './memory.js';
import type { Native } from './values.js';

/** What a session and its bindings work on. */
export interface LoadedModel {
  readonly native: Native;
  /** The `OrtSession`. */
  readonly session: bigint;
  readonly device: string;
  readonly installed: readonly Device['kind'][];
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

/** @throws ShoalError `model_invalid` for an input that is no tensor of a type Shoal carries. */
export function readInputs(native: Native, session: bigint): TensorInfo[] {
  const count = Number(native.api.get('SessionGetInputCount', session));
  return Array.from({ length: count }, (_, i) => {
    const name = takeText(native, 'SessionGetInputName', session, i);
    const info = readInfo(native, name, native.api.get('SessionGetInputTypeInfo', session, i));
    if (info === undefined)
      throw new ShoalError('model_invalid', `Input "${name}" is no tensor of a known element type`);
    return info;
  });
}

/** Leaves out what is no tensor of a type Shoal carries. */
export function readOutputs(native: Native, session: bigint): TensorInfo[] {
  const count = Number(native.api.get('SessionGetOutputCount', session));
  return Array.from({ length: count }, (_, i) => {
    const name = takeText(native, 'SessionGetOutputName', session, i);
    return readInfo(native, name, native.api.get('SessionGetOutputTypeInfo', session, i));
  }).filter((info) => info !== undefined);
}

/** Releases `typeInfo`. */
function readInfo({ api }: Native, name: string, typeInfo: bigint): TensorInfo | undefined {
  try {
    const tensor = api.get('CastTypeInfoToTensorInfo', typeInfo);
    if (tensor === 0n) return undefined;
    const type = elementType(Number(api.get('GetTensorElementType', tensor)));
    if (type === undefined) return undefined;
    const rank = Number(api.get('GetDimensionsCount', tensor));
    const sizes = new BigInt64Array(rank);
    const names = new BigUint64Array(rank);
    api.call('GetDimensions', tensor, sizes, rank);
    api.call('GetSymbolicDimensions', tensor, names, rank);
    return { name, type, shape: Array.from(sizes, (dim, i) => (dim >= 0n ? Number(dim) : textAt(names[i]!))) };
  } finally {
    api.release('TypeInfo', typeInfo);
  }
}

export function readMetadata(native: Native, session: bigint): ModelMetadata {
  const { api, allocator } = native;
  const metadata = api.get('SessionGetModelMetadata', session);
  try {
    const custom: Record<string, string> = {};
    for (const key of readKeys(native, metadata)) {
      custom[key] = ownText(native, api.get('ModelMetadataLookupCustomMetadataMap', metadata, allocator, key));
    }
    return {
      producer: takeText(native, 'ModelMetadataGetProducerName', metadata),
      graphName: takeText(native, 'ModelMetadataGetGraphName', metadata),
      description: takeText(native, 'ModelMetadataGetDescription', metadata),
      custom,
    };
  } finally {
    api.release('ModelMetadata', metadata);
  }
}

function readKeys(native: Native, metadata: bigint): string[] {
  const { api, allocator } = native;
  const out = new BigUint64Array(2);
  api.call('ModelMetadataGetCustomMetadataMapKeys', metadata, allocator, out.subarray(0, 1), out.subarray(1));
  if (out[0] === 0n) return [];
  const keys = wordsAt(out[0]!, Number(out[1])).map((key) => ownText(native, key));
  api.call('AllocatorFree', allocator, out[0]!);
  return keys;
}

/** Calls a function whose last two parameters are an allocator and the text it allocates. */
function takeText(native: Native, name: StatusFunction, ...args: (bigint | number)[]): string {
  return ownText(native, native.api.get(name, ...args, native.allocator));
}

/** Reads and frees a text that ONNX Runtime allocated. */
function ownText({ api, allocator }: Native, address: bigint): string {
  const text = textAt(address);
  if (address !== 0n) api.call('AllocatorFree', allocator, address);
  return text;
}
