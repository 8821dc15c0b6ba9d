/**
 * Reads the header of a GGUF file, version 2 or 3 (github.com/ggml-org/ggml, docs/gguf.md): metadata, and which tensors lie where.
 * The weights stay in the file. Files come from strangers: every number is checked against the file before it is used.
 */
import { closeSync, openSync } from 'node:fs';
import { fileData, refuseLfsPointer, type TensorData } from '@shoal/onnx';
import { invalid } from '../invalid.js';
import { Cursor } from './cursor.js';
import { GGML_TYPES, type GgmlType } from './types.js';

export type GgufScalar = string | number | boolean;
/** 64-bit integers as the nearest number. */
export type GgufValue = GgufScalar | readonly GgufScalar[];

export interface GgufTensor {
  readonly type: GgmlType;
  /** Outermost dimension first, as PyTorch has it. */
  readonly shape: readonly number[];
  /** Blocks one after the other, row by row. */
  readonly data: TensorData;
}

export interface Gguf {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** "GGUF" as a little-endian number. */
const MAGIC = 0x46554747;
const VERSIONS: readonly number[] = [2, 3];
/** Of a file written on a big-endian machine, read as if it were little-endian. */
const SWAPPED: readonly number[] = [0x01000000, 0x02000000, 0x03000000];
/** The deepest models have some ten thousand tensors, and fifty values of metadata. */
const MAX_TENSORS = 65_536;
const MAX_VALUES = 65_536;
/** Items of all lists together: the largest vocabularies have 300,000 tokens with a score, a type and a merge each. */
const MAX_ITEMS = 4_000_000;
/** ggml's own limits. */
const MAX_DIMENSIONS = 4;
const MAX_NAME_LENGTH = 255;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 65_536;

/** @throws ShoalError `model_invalid` naming the file and what is wrong with it */
export function readGguf(path: string): Gguf {
  const file = openSync(path, 'r');
  try {
    return new Header(path, new Cursor(file, path)).read();
  } finally {
    closeSync(file);
  }
}

/** gguf_metadata_value_type */
const LIST = 9;

class Header {
  readonly #path: string;
  readonly #at: Cursor;
  readonly #readers: ReadonlyMap<number, () => GgufScalar>;
  #items = 0;

  constructor(path: string, at: Cursor) {
    this.#path = path;
    this.#at = at;
    this.#readers = new Map<number, () => GgufScalar>([
      [0, at.uint8],
      [1, at.int8],
      [2, at.uint16],
      [3, at.int16],
      [4, at.uint32],
      [5, at.int32],
      [6, at.float32],
      [7, () => at.uint8() !== 0],
      [8, at.text],
      [10, at.uint64],
      [11, at.int64],
      [12, at.float64],
    ]);
  }

  read(): Gguf {
    if (this.#at.size < 4 || this.#at.uint32() !== MAGIC) {
      refuseLfsPointer(this.#path);
      throw this.#wrong('is no GGUF file: it does not begin with GGUF');
    }
    const version = this.#at.uint32();
    if (SWAPPED.includes(version)) throw this.#wrong('is a big-endian GGUF file: convert it with gguf-convert-endian');
    if (!VERSIONS.includes(version)) throw this.#wrong(`is of version ${version}; versions 2 and 3 are read`);
    const tensorCount = this.#count('tensors', MAX_TENSORS);
    const valueCount = this.#count('values', MAX_VALUES);
    const metadata = this.#metadata(valueCount);
    return { metadata, tensors: this.#tensors(tensorCount, this.#alignment(metadata)) };
  }

  #metadata(count: number): Map<string, GgufValue> {
    const metadata = new Map<string, GgufValue>();
    for (let n = 0; n < count; n++) {
      const key = this.#at.text();
      if (metadata.has(key)) throw this.#wrong(`has ${shown(key)} twice`);
      metadata.set(key, this.#value(key));
    }
    return metadata;
  }

  #value(key: string): GgufValue {
    const kind = this.#at.uint32();
    if (kind !== LIST) return this.#reader(key, kind)();
    const read = this.#reader(key, this.#at.uint32());
    const length = this.#at.uint64();
    this.#items += length;
    // Items have a byte at least.
    if (this.#items > MAX_ITEMS || length > this.#at.left)
      throw this.#wrong(`has a list ${shown(key)} of ${length} items`);
    return Array.from({ length }, read);
  }

  #reader(key: string, kind: number): () => GgufScalar {
    const reader = this.#readers.get(kind);
    if (reader === undefined) throw this.#wrong(`has a value ${shown(key)} of type ${kind}, which is not known`);
    return reader;
  }

  #alignment(metadata: ReadonlyMap<string, GgufValue>): number {
    const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
    if (
      typeof alignment === 'number' &&
      alignment >= 1 &&
      alignment <= MAX_ALIGNMENT &&
      Number.isInteger(Math.log2(alignment))
    )
      return alignment;
    throw this.#wrong('has a general.alignment that is no power of two');
  }

  #tensors(count: number, alignment: number): Map<string, GgufTensor> {
    const described = Array.from({ length: count }, () => this.#describe());
    const start = Math.ceil(this.#at.position / alignment) * alignment;
    const tensors = new Map<string, GgufTensor>();
    for (const { name, type, shape, offset, length } of described) {
      if (tensors.has(name)) throw this.#wrong(`has the tensor ${shown(name)} twice`);
      if (offset % alignment !== 0)
        throw this.#wrong(`has the tensor ${shown(name)} at ${offset}, no multiple of ${alignment}`);
      if (start + offset + length > this.#at.size) {
        throw this.#wrong(`is cut off: the tensor ${shown(name)} ends beyond its ${this.#at.size} bytes`);
      }
      tensors.set(name, { type, shape, data: fileData(this.#path, start + offset, length) });
    }
    this.#refuseOverlap(described);
    return tensors;
  }

  #describe(): Described {
    const name = this.#at.text();
    const where = `has a tensor ${shown(name)}`;
    if (name.length > MAX_NAME_LENGTH) throw this.#wrong(`${where} with too long a name`);
    const dimensions = this.#at.uint32();
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) throw this.#wrong(`${where} of ${dimensions} dimensions`);
    // ggml lists the innermost dimension first.
    const shape = Array.from({ length: dimensions }, this.#at.uint64).reverse();
    const id = this.#at.uint32();
    const offset = this.#at.uint64();
    const type = GGML_TYPES.get(id);
    if (type === undefined) throw this.#wrong(`${where} of type ${id}, which is not known`);
    const [row = 0, numbers] = [shape.at(-1), shape.reduce((product, dim) => product * dim, 1)];
    if (row % type.block !== 0 || numbers < 1 || numbers > Number.MAX_SAFE_INTEGER) {
      throw this.#wrong(`${where} of shape ${shape.join(' × ')}, which ${type.name} cannot have`);
    }
    return { name, type, shape, offset, length: (numbers / type.block) * type.bytes };
  }

  /** Else a small file could stand for tensors of any size. */
  #refuseOverlap(tensors: readonly Described[]): void {
    const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
    sorted.forEach(({ name, offset }, n) => {
      const before = sorted[n - 1];
      if (before !== undefined && before.offset + before.length > offset) {
        throw this.#wrong(`has tensors ${shown(before.name)} and ${shown(name)} that share bytes`);
      }
    });
  }

  #count(what: string, most: number): number {
    const count = this.#at.uint64();
    if (count <= most) return count;
    throw this.#wrong(`claims ${count} ${what}; at most ${most} are read`);
  }

  #wrong(what: string): Error {
    return invalid(`${this.#path} ${what}`);
  }
}

interface Described {
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: readonly number[];
  /** From where the first tensor may begin. */
  readonly offset: number;
  readonly length: number;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
