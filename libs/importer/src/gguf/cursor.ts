/** Reads little-endian numbers and texts of a file one after the other. Nothing is taken into memory before it is known to be there. */
import { fstatSync, readSync } from 'node:fs';
import { invalid } from '../invalid.js';

/** Bytes read at once: headers consist of millions of small values. */
const WINDOW = 1024 * 1024;
/** The longest text of a header: chat templates have some ten thousand bytes. */
const MAX_TEXT_BYTES = 8 * 1024 * 1024;
/** Of the whole header, which is kept in memory; those of the largest vocabularies have some 30 MB. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;

export class Cursor {
  readonly size: number;
  readonly #file: number;
  readonly #path: string;
  #window: Buffer = Buffer.alloc(0);
  /** Of the window, in the file. */
  #start = 0;
  #position = 0;

  /** `file` stays open for as long as the cursor is used. */
  constructor(file: number, path: string) {
    this.#file = file;
    this.#path = path;
    this.size = fstatSync(file).size;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.size - this.#position;
  }

  uint8 = (): number => this.#next(1).readUInt8();
  int8 = (): number => this.#next(1).readInt8();
  uint16 = (): number => this.#next(2).readUInt16LE();
  int16 = (): number => this.#next(2).readInt16LE();
  uint32 = (): number => this.#next(4).readUInt32LE();
  int32 = (): number => this.#next(4).readInt32LE();
  float32 = (): number => this.#next(4).readFloatLE();
  float64 = (): number => this.#next(8).readDoubleLE();
  /** 64 bits as the nearest number: sizes beyond 2⁵³ are beyond any file, and compared with it like all others. */
  uint64 = (): number => Number(this.#next(8).readBigUInt64LE());
  int64 = (): number => Number(this.#next(8).readBigInt64LE());

  /** Bytes with their length in front, as UTF-8. @throws ShoalError `model_invalid` where they are none */
  text = (): string => {
    const length = this.uint64();
    if (length > MAX_TEXT_BYTES)
      throw invalid(`${this.#path}: a text of ${length} bytes; at most ${MAX_TEXT_BYTES} are read`);
    const bytes = this.#next(length);
    const text = bytes.toString('utf8');
    // What is not UTF-8 becomes U+FFFD, three bytes: two texts could become the same one.
    if (text.includes('\ufffd') && !bytes.equals(Buffer.from(text))) {
      throw invalid(`${this.#path}: the text at byte ${this.#position - length} is not UTF-8`);
    }
    return text;
  };

  #next(length: number): Buffer {
    if (length > this.left) throw invalid(`${this.#path} is cut off: its header goes on beyond its ${this.size} bytes`);
    const end = this.#position + length;
    if (end > MAX_HEADER_BYTES)
      throw invalid(`${this.#path}: a header of more than ${MAX_HEADER_BYTES} bytes; no model has such`);
    if (end > this.#start + this.#window.length) this.#load(length);
    const from = this.#position - this.#start;
    this.#position = end;
    return this.#window.subarray(from, from + length);
  }

  #load(length: number): void {
    const bytes = Buffer.allocUnsafe(Math.min(this.left, Math.max(length, WINDOW)));
    let at = 0;
    while (at < bytes.length) {
      const read = readSync(this.#file, bytes, at, bytes.length - at, this.#position + at);
      if (read === 0) throw invalid(`${this.#path} has become shorter while it was read`);
      at += read;
    }
    this.#window = bytes;
    this.#start = this.#position;
  }
}
