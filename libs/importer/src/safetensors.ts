/**
 * Reads the header of a .safetensors file (huggingface.co/docs/safetensors): 8 bytes of length, JSON, then the data. The
 * weights stay in the file. Files come from strangers: every number is checked against the file before it is used.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileData, type TensorData } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from './invalid.js';

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

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
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
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
  }
  checkOverlap(path, header);
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
      throw invalid(`${path} is no safetensors file: its header claims ${length} bytes`);
    }
    const text = Buffer.alloc(Number(length));
    readSync(file, text, 0, text.length, 8);
    const header = Header.safeParse(parseJson(path, text.toString('utf8')));
    if (!header.success) throw invalid(`${path} is no safetensors file: its header is no JSON object`);
    return { header: header.data, start: 8 + text.length, size };
  } finally {
    closeSync(file);
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`${path} is no safetensors file: its header is not valid JSON`, error);
  }
}

/** The format forbids that tensors share bytes. */
function checkOverlap(path: string, header: Record<string, unknown>): void {
  const spans = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => ({ name, offsets: Entry.parse(value).data_offsets }))
    .filter(({ offsets }) => offsets[1] > offsets[0])
    .sort((a, b) => a.offsets[0] - b.offsets[0]);
  spans.forEach(({ name, offsets }, n) => {
    const before = spans[n - 1];
    if (before && before.offsets[1] > offsets[0]) {
      throw invalid(`${path}: tensors ${before.name} and ${name} share bytes of the file`);
    }
  });
}
