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

/** One message of a source. `field` and `wire` are those of the last `next()`. */
export class Reader {
  field = 0;
  wire = 0;
  readonly #source: Source;
  readonly #end: number;
  #at: number;
  /** Where the present field's tag begins. */
  #fieldStart = 0;

  constructor(source: Source, start = 0, end = source.size) {
    this.#source = source;
    this.#at = start;
    this.#end = end;
  }

  /** Goes on to the next field; false at the end of the message. The field before must have been read or skipped. */
  next(): boolean {
    if (this.#at === this.#end) return false;
    this.#fieldStart = this.#at;
    const tag = Number(this.#varint());
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
    return new TextDecoder().decode(this.#source.copy(start, length));
  }

  bytes(): Uint8Array {
    const [start, length] = this.#span();
    return this.#source.copy(start, length);
  }

  /** Bytes that stay where they are. */
  data(): TensorData {
    const [start, length] = this.#span();
    return this.#source.data(start, length);
  }

  message(): Reader {
    const [start, length] = this.#span();
    return new Reader(this.#source, start, start + length);
  }

  /** A repeated field of integers, packed or one at a time. */
  ints(into: bigint[]): void {
    if (this.wire === VARINT) {
      into.push(this.int());
      return;
    }
    const packed = this.message();
    while (packed.#at < packed.#end) into.push(BigInt.asIntN(64, packed.#varint()));
  }

  /** A repeated field of floats (4 bytes) or doubles (8), packed or one at a time. */
  fixeds(size: 4 | 8, into: number[]): void {
    const read = (view: DataView) => (size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
    if (this.wire === (size === 4 ? FIXED32 : FIXED64)) {
      into.push(read(this.#fixed(size)));
      return;
    }
    const packed = this.message();
    while (packed.#at < packed.#end) into.push(read(packed.#fixed(size)));
  }

  /** The whole field with its tag, as it stands. */
  raw(): Uint8Array {
    this.#skip();
    return this.#source.copy(this.#fieldStart, this.#at - this.#fieldStart);
  }

  #skip(): void {
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
