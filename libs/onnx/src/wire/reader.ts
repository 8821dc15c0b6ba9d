/**
 * Reads the protobuf wire format (protobuf.dev/programming-guides/encoding), every step within the bounds of the message:
 * files come from strangers. A library would hold whole messages, weights included; this leaves weights in the file.
 */
import { invalid } from '../invalid.js';
import type { TensorData } from '../tensor-data.js';
import type { Source } from './source.js';

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
/** Of values, nodes, operators and files; exporters build them from paths of modules. */
const MAX_NAME_BYTES = 4096;

/**
 * What may be read of one source altogether: a byte or two of a file become a hundred in memory. The largest models have some
 * 200,000 nodes with 2 million messages, and forests of trees some ten million numbers.
 */
const LIMITS = {
  fields: 2 ** 27,
  messages: 2 ** 22,
  'names and texts': 2 ** 23,
  'bytes of names and texts': 2 ** 28,
  'numbers in lists': 2 ** 26,
} as const;

type Limited = keyof typeof LIMITS;

/** One message of a source. `field` and `wire` are those of the last `next()`. */
export class Reader {
  field = 0;
  wire = 0;
  readonly #source: Source;
  readonly #end: number;
  /** Of all messages of the source together. */
  readonly #read: Record<Limited, number>;
  #at: number;
  /** Where the present field's tag begins. */
  #fieldStart = 0;
  /** Where what follows it begins. */
  #valueStart = -1;

  constructor(source: Source, start = 0, end = source.size, within?: Reader) {
    this.#source = source;
    this.#at = start;
    this.#end = end;
    const nothing = {
      fields: 0,
      messages: 0,
      'names and texts': 0,
      'bytes of names and texts': 0,
      'numbers in lists': 0,
    };
    this.#read = within === undefined ? nothing : within.#read;
  }

  /** Goes on to the next field, past what was not read of the one before; false at the end of the message. */
  next(): boolean {
    this.#skip();
    if (this.#at === this.#end) return false;
    this.#count('fields');
    this.#fieldStart = this.#at;
    const tag = Number(this.#varint());
    this.#valueStart = this.#at;
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.field === 0 || tag > 0xffff_ffff) throw this.#broken(`a field has the number ${this.field}`);
    return true;
  }

  /** A signed 64-bit integer. */
  int(): bigint {
    this.#expect(VARINT);
    return BigInt.asIntN(64, this.#varint());
  }

  /** An integer that counts something or names a place. */
  count(what: string): number {
    const value = this.int();
    if (value < 0n || value > MAX_SAFE) throw this.#broken(`${what} is ${value}`);
    return Number(value);
  }

  float(): number {
    this.#expect(FIXED32);
    return this.#fixed(4).getFloat32(0, true);
  }

  /** A name. */
  string(): string {
    const [start, length] = this.#span();
    if (length > MAX_NAME_BYTES) throw this.#broken(`a name is longer than ${MAX_NAME_BYTES} bytes`);
    return new TextDecoder().decode(this.#copy(start, length));
  }

  bytes(): Uint8Array {
    const [start, length] = this.#span();
    return this.#copy(start, length);
  }

  /** Bytes that stay where they are. */
  data(): TensorData {
    this.#count('messages');
    const [start, length] = this.#span();
    return this.#source.data(start, length);
  }

  message(): Reader {
    this.#count('messages');
    const [start, length] = this.#span();
    return new Reader(this.#source, start, start + length, this);
  }

  /** A repeated field of integers, packed or one at a time. */
  ints(take: (value: bigint) => void): void {
    if (this.wire === VARINT) {
      this.#count('numbers in lists');
      take(this.int());
      return;
    }
    const packed = this.message();
    while (packed.#at < packed.#end) {
      this.#count('numbers in lists');
      take(BigInt.asIntN(64, packed.#varint()));
    }
  }

  /** A repeated field of floats, packed or one at a time. */
  floats(take: (value: number) => void): void {
    if (this.wire === FIXED32) {
      this.#count('numbers in lists');
      take(this.float());
      return;
    }
    const packed = this.message();
    while (packed.#at < packed.#end) {
      this.#count('numbers in lists');
      take(packed.#fixed(4).getFloat32(0, true));
    }
  }

  /** The numbers of a repeated field as they are packed, also where this is one of them only. They stay where they are. */
  packed(): TensorData {
    if (this.wire === BYTES) return this.data();
    this.#count('messages');
    this.#skip();
    return this.#source.data(this.#valueStart, this.#at - this.#valueStart);
  }

  /** The whole field with its tag, as it stands, whether or not it was read. */
  raw(): Uint8Array {
    this.#skip();
    return this.#copy(this.#fieldStart, this.#at - this.#fieldStart);
  }

  #copy(start: number, length: number): Uint8Array {
    this.#count('names and texts');
    this.#count('bytes of names and texts', length);
    return this.#source.copy(start, length);
  }

  #count(what: Limited, by = 1): void {
    this.#read[what] += by;
    if (this.#read[what] > LIMITS[what]) throw this.#broken(`it has more than ${LIMITS[what]} ${what}`);
  }

  /** Unless it was read. */
  #skip(): void {
    if (this.#at !== this.#valueStart) return;
    if (this.wire === VARINT) this.#varint();
    else if (this.wire === FIXED64) this.#fixed(8);
    else if (this.wire === BYTES) this.#span();
    else if (this.wire === FIXED32) this.#fixed(4);
    else throw this.#broken(`field ${this.field} has wire type ${this.wire}, which there is none of`);
  }

  #varint(): bigint {
    let value = 0;
    let factor = 1;
    // Up to 49 bits as a number, which is what nearly all are.
    for (let n = 0; n < 7; n++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return BigInt(value);
      factor *= 128;
    }
    let large = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      large |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, large);
    }
    throw this.#broken('a number has more than ten bytes');
  }

  #byte(): number {
    if (this.#at >= this.#end) throw this.#broken('a number does not end');
    return this.#source.byte(this.#at++);
  }

  #fixed(size: 4 | 8): DataView {
    if (this.#at + size > this.#end) throw this.#broken('a number does not end');
    const view = new DataView(new ArrayBuffer(size));
    for (let n = 0; n < size; n++) view.setUint8(n, this.#source.byte(this.#at++));
    return view;
  }

  #span(): [start: number, length: number] {
    this.#expect(BYTES);
    const length = this.#varint();
    const start = this.#at;
    if (length > BigInt(this.#end - start)) throw this.#broken(`field ${this.field} claims ${length} bytes`);
    this.#at += Number(length);
    return [start, Number(length)];
  }

  #expect(wire: number): void {
    if (this.wire !== wire) throw this.#broken(`field ${this.field} has wire type ${this.wire}, not ${wire}`);
  }

  #broken(what: string): Error {
    return invalid(`${what} (at byte ${this.#fieldStart})`);
  }
}
