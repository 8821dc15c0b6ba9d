/** A file seen through a small window of memory: positioned reads, so that skipping a gigabyte costs nothing. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const WINDOW_BYTES = 64 * 1024;

/**
 * Synchronous on purpose: a parser that awaits each field is slower by an order of magnitude, and files are read when a
 * process starts. Offsets and lengths are bytes; the caller keeps them inside `size`.
 */
export class FileWindow {
  readonly size: number;
  readonly #fd: number;
  readonly #buffer: Buffer;
  #start = 0;
  #end = 0;
  /** How many reads the file cost so far. */
  reads = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.size = fstatSync(this.#fd).size;
    this.#buffer = Buffer.allocUnsafe(Math.max(1, Math.min(WINDOW_BYTES, this.size)));
  }

  byte(offset: number): number {
    if (offset < this.#start || offset >= this.#end) this.#fill(offset);
    return this.#buffer[offset - this.#start]!;
  }

  /** UTF-8 text of at most `WINDOW_BYTES`; bytes that are not UTF-8 become U+FFFD. */
  text(offset: number, length: number): string {
    if (length === 0) return '';
    if (offset < this.#start || offset + length > this.#end) this.#fill(offset);
    const from = offset - this.#start;
    if (from + length > this.#buffer.length) throw new RangeError(`text of ${length} bytes is longer than the window`);
    return this.#buffer.toString('utf8', from, from + length);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #fill(offset: number): void {
    this.reads++;
    const bytes = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, offset);
    if (bytes === 0) throw new RangeError('the file shrank while it was read');
    this.#start = offset;
    this.#end = offset + bytes;
  }
}
