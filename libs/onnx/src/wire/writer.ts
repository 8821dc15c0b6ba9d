/** Writes the protobuf wire format as a list of pieces, so that weights are copied from where they are to the file. */
import type { TensorData } from '../tensor-data.js';
import { BYTES, FIXED32, VARINT } from './reader.js';

/** Bytes in memory, or data that is read when it is written. */
export type Piece = Uint8Array | TensorData;

export class Writer {
  readonly #pieces: Piece[] = [];
  #byteLength = 0;

  get byteLength(): number {
    return this.#byteLength;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** Left out where it is the default, as proto3 does, unless `always`. */
  int(field: number, value: number | bigint, always = false): void {
    const number = BigInt(value);
    if (number === 0n && !always) return;
    this.#add(varint(field * 8 + VARINT));
    this.#add(varint(BigInt.asUintN(64, number)));
  }

  float(field: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#add(varint(field * 8 + FIXED32));
    this.#add(bytes);
  }

  string(field: number, value: string): void {
    if (value !== '') this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#add(varint(field * 8 + BYTES));
    this.#add(varint(bytes.length));
    this.#add(bytes);
  }

  data(field: number, data: TensorData): void {
    this.#add(varint(field * 8 + BYTES));
    this.#add(varint(data.byteLength));
    this.#pieces.push(data);
    this.#byteLength += data.byteLength;
  }

  message(field: number, write: (writer: Writer) => void): void {
    const inner = new Writer();
    write(inner);
    this.#add(varint(field * 8 + BYTES));
    this.#add(varint(inner.#byteLength));
    for (const piece of inner.#pieces) this.#pieces.push(piece);
    this.#byteLength += inner.#byteLength;
  }

  /** Fields as they were read, tags included. */
  raw(fields: readonly Uint8Array[]): void {
    for (const field of fields) this.#add(field);
  }

  #add(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#byteLength += bytes.length;
  }
}

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
