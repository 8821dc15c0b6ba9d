/**
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding): a message is a run of fields, each a tag
 * (field number << 3 | wire type) and a value. A value of wire type 2 is a length and that many bytes.
 */
import type { FileWindow } from './file-window.js';

/** Why bytes are not a message; the reader of the whole file adds its name. */
export class WireError extends Error {}

/** The bytes of one message or string inside the file: `start` inclusive, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Field {
  readonly number: number;
  /** The value of a varint field (0 for other wire types). */
  readonly varint: bigint;
  /** The bytes of a length-delimited field; null for other wire types. */
  readonly span: Span | null;
}

/** The fields of the message in `span`, in file order. Values are not read, so a field that is not asked for is skipped. */
export function* fields(file: FileWindow, span: Span): Generator<Field> {
  let at = span.start;
  while (at < span.end) {
    const tag = readVarint(file, at, span.end);
    const number = Number(tag.value >> 3n);
    const wireType = Number(tag.value & 7n);
    if (number === 0 || number > 0x1fffffff) throw new WireError(`byte ${at} is not a protobuf field`);
    at = tag.next;
    if (wireType === 0) {
      const value = readVarint(file, at, span.end);
      at = value.next;
      yield { number, varint: value.value, span: null };
    } else if (wireType === 2) {
      const length = readVarint(file, at, span.end);
      at = length.next;
      if (length.value > BigInt(span.end - at)) {
        throw new WireError(
          `field ${number} at byte ${at} claims ${length.value} bytes where ${span.end - at} are left`,
        );
      }
      const inner = { start: at, end: at + Number(length.value) };
      at = inner.end;
      yield { number, varint: 0n, span: inner };
    } else {
      at += fixedBytes(wireType, at);
      if (at > span.end) throw new WireError(`field ${number} ends after byte ${span.end}`);
      yield { number, varint: 0n, span: null };
    }
  }
}

function fixedBytes(wireType: number, at: number): number {
  if (wireType === 1) return 8;
  if (wireType === 5) return 4;
  throw new WireError(`wire type ${wireType} at byte ${at} is unknown`);
}

function readVarint(file: FileWindow, start: number, end: number): { readonly value: bigint; readonly next: number } {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    if (start + i >= end) throw new WireError(`a number is cut off at byte ${end}`);
    const byte = file.byte(start + i);
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), next: start + i + 1 };
  }
  throw new WireError(`the number at byte ${start} has more than ten bytes`);
}
