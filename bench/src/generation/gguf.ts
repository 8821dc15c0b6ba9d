/** Writes GGUF files, version 3 (ggml, docs/gguf.md): metadata, then tensors in blocks that ggml computes with. */
import { closeSync, openSync, writeSync } from 'node:fs';

export type GgufValue =
  | { readonly kind: 'uint32' | 'float32'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'float32s' | 'int32s'; readonly value: readonly number[] };

export type BlockType = 'f32' | 'q4_0' | 'q8_0';

export interface GgufTensor {
  readonly name: string;
  /** Row-major, outermost first; rows are whole blocks. */
  readonly shape: readonly number[];
  readonly type: BlockType;
  /** Its numbers, row-major. One tensor is in memory at a time. */
  readonly read: () => Float32Array;
}

const ALIGNMENT = 32;
/** Numbers of a block. */
const BLOCK = 32;
/** ggml_type, and bytes of 32 numbers. */
const TYPES = { f32: { id: 0, bytes: 128 }, q4_0: { id: 2, bytes: 18 }, q8_0: { id: 8, bytes: 34 } } as const;
/** gguf_type. */
const KINDS = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;

export function writeGguf(path: string, metadata: Readonly<Record<string, GgufValue>>, tensors: readonly GgufTensor[]) {
  const values = Object.entries(metadata);
  const parts = [Buffer.from('GGUF'), uint32(3), uint64(tensors.length), uint64(values.length)];
  for (const [key, value] of values) parts.push(text(key), ...encode(value));
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    // ggml lists the innermost dimension first.
    const dims = [...shape].reverse().map(uint64);
    parts.push(text(name), uint32(shape.length), ...dims, uint32(TYPES[type].id), uint64(offset));
    offset += aligned(bytesOf(type, shape));
  }
  const head = Buffer.concat(parts);
  const file = openSync(path, 'w');
  try {
    writeSync(file, padded(head));
    for (const { type, read } of tensors) writeSync(file, padded(inBlocks(type, read())));
  } finally {
    closeSync(file);
  }
}

function inBlocks(type: BlockType, values: Float32Array): Buffer {
  if (type === 'f32') return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const { bytes } = TYPES[type];
  const out = Buffer.alloc((values.length / BLOCK) * bytes);
  const write = type === 'q4_0' ? writeQ4 : writeQ8;
  for (let n = 0; n * BLOCK < values.length; n++) write(out, n * bytes, values.subarray(n * BLOCK, (n + 1) * BLOCK));
  return out;
}

/** quantize_row_q4_0_ref: the number of largest size becomes −8; element i shares a byte with element i + 16. */
function writeQ4(out: Buffer, at: number, values: Float32Array): void {
  const largest = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  const scale = largest / -8;
  const quant = (i: number) => (scale === 0 ? 8 : Math.min(15, Math.trunc(values[i]! / scale + 8.5)));
  out.writeUInt16LE(halfBits(scale), at);
  for (let i = 0; i < BLOCK / 2; i++) out[at + 2 + i] = quant(i) | (quant(i + BLOCK / 2) << 4);
}

/** quantize_row_q8_0_ref. */
function writeQ8(out: Buffer, at: number, values: Float32Array): void {
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
  out.writeUInt16LE(halfBits(scale), at);
  for (let i = 0; i < BLOCK; i++) out.writeInt8(scale === 0 ? 0 : Math.round(values[i]! / scale), at + 2 + i);
}

const bits = new DataView(new ArrayBuffer(4));

/** Of a 16-bit float: scales of weights are far from its largest, and below its smallest they are 0. */
export function halfBits(value: number): number {
  bits.setFloat32(0, value);
  const wide = bits.getUint32(0);
  const sign = (wide >>> 16) & 0x8000;
  const exponent = ((wide >>> 23) & 0xff) - 127 + 15;
  // Subnormal halves are multiples of 2⁻²⁴.
  if (exponent <= 0) return sign | Math.round(Math.abs(value) * 2 ** 24);
  return sign + (exponent << 10) + (((wide & 0x7fffff) + 0x1000) >>> 13);
}

function encode(entry: GgufValue): Buffer[] {
  switch (entry.kind) {
    case 'uint32':
      return [uint32(KINDS.uint32), uint32(entry.value)];
    case 'float32':
      return [uint32(KINDS.float32), float32(entry.value)];
    case 'string':
      return [uint32(KINDS.string), text(entry.value)];
    case 'strings':
      return [uint32(KINDS.array), uint32(KINDS.string), uint64(entry.value.length), ...entry.value.map(text)];
    case 'float32s':
      return [uint32(KINDS.array), uint32(KINDS.float32), uint64(entry.value.length), ...entry.value.map(float32)];
    case 'int32s':
      return [uint32(KINDS.array), uint32(KINDS.int32), uint64(entry.value.length), ...entry.value.map(uint32)];
  }
}

function bytesOf(type: BlockType, shape: readonly number[]): number {
  return (shape.reduce((product, dim) => product * dim, 1) / BLOCK) * TYPES[type].bytes;
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
