/**
 * Reads the header of a .safetensors file (huggingface.co/docs/safetensors): 8 bytes of length, JSON, then the data. The
 * weights stay in the file. Files come from strangers: every number is checked against the file before it is used.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parseJsonFile } from '@shoal/contracts';
import { fileData, refuseLfsPointer, type TensorData } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from './invalid.js';

/** Room for as many tensors, and less than the format allows: JSON takes many times its size in memory. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** The deepest models have some ten thousand. */
const MAX_TENSORS = 65_536;
/** Each has a type, two offsets and up to 16 dimensions, and there may be notes. */
const MAX_VALUES = 24 * MAX_TENSORS;

/** Bytes of an element of the types that weights come in; others are refused by name. */
const ELEMENT_BYTES = {
  F32: 4,
  F16: 2,
  BF16: 2,
  F64: 8,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  F8_E4M3: 1,
  BOOL: 1,
} as const;

export type SafetensorsType = keyof typeof ELEMENT_BYTES;

export interface StoredTensor {
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly data: TensorData;
}

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const Entry = z.object({
  dtype: z.string(),
  shape: z.array(size).max(16),
  data_offsets: z.tuple([size, size]),
});
const Header = z.record(z.string(), z.unknown());

/** Every tensor of the file by name. @throws ShoalError `model_invalid` naming the file and the tensor */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const { header, start, size: fileSize } = readHeader(path);
  const tensors = new Map<string, StoredTensor>();
  const spans: Span[] = [];
  const { __metadata__: _, ...entries } = header;
  const count = Object.keys(entries).length;
  if (count > MAX_TENSORS) throw invalid(`${path} has ${count} tensors; at most ${MAX_TENSORS} are read`);
  for (const [name, value] of Object.entries(entries)) {
    const where = `${path}: tensor ${JSON.stringify(name.slice(0, 200))}`;
    const parsed = Entry.safeParse(value);
    if (!parsed.success) throw invalid(`${where} is described wrongly (${parsed.error.issues[0]?.path.join('.')})`);
    const { dtype, shape, data_offsets: offsets } = parsed.data;
    if (!isKnown(dtype)) throw invalid(`${where} is of type ${dtype.slice(0, 20)}, which is not supported`);
    const length = offsets[1] - offsets[0];
    const expected = shape.reduce((product, dim) => product * dim, 1) * ELEMENT_BYTES[dtype];
    if (length !== expected) throw invalid(`${where} has ${length} bytes where its shape needs ${expected}`);
    if (start + offsets[1] > fileSize) throw invalid(`${where} ends beyond the end of the file`);
    tensors.set(name, { type: dtype, shape, data: fileData(path, start + offsets[0], length) });
    if (length > 0) spans.push({ name, offsets });
  }
  checkOverlap(path, spans);
  return tensors;
}

function isKnown(type: string): type is SafetensorsType {
  return Object.hasOwn(ELEMENT_BYTES, type);
}

function readHeader(path: string): { header: Record<string, unknown>; start: number; size: number } {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const prefix = Buffer.alloc(8);
    if (readSync(file, prefix, 0, 8, 0) < 8) throw invalid(`${path} is no safetensors file: it has ${size} bytes`);
    const length = prefix.readBigUInt64LE();
    if (length > BigInt(MAX_HEADER_BYTES) || length > BigInt(size - 8)) {
      refuseLfsPointer(path);
      throw invalid(`${path} is no safetensors file that can be read: its header claims ${length} bytes`);
    }
    const text = Buffer.alloc(Number(length));
    readSync(file, text, 0, text.length, 8);
    const header = Header.safeParse(parseHeader(path, text));
    if (!header.success) throw invalid(`${path} is no safetensors file: its header is no JSON object`);
    return { header: header.data, start: 8 + text.length, size };
  } finally {
    closeSync(file);
  }
}

function parseHeader(path: string, text: Uint8Array): unknown {
  try {
    return parseJsonFile(text, MAX_VALUES);
  } catch (error) {
    throw invalid(`${path} is no safetensors file that can be read: its header ${(error as Error).message}`, error);
  }
}

interface Span {
  readonly name: string;
  readonly offsets: readonly [number, number];
}

/** The format forbids that tensors share bytes. */
function checkOverlap(path: string, spans: readonly Span[]): void {
  const sorted = [...spans].sort((a, b) => a.offsets[0] - b.offsets[0]);
  sorted.forEach(({ name, offsets }, n) => {
    const before = sorted[n - 1];
    if (before && before.offsets[1] > offsets[0]) {
      throw invalid(`${path}: tensors ${before.name} and ${name} share bytes of the file`);
    }
  });
}
