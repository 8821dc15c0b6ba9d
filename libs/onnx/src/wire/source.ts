/** Random access to the bytes of a file or of memory, for reading a protobuf without holding it. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { invalid } from '../invalid.js';
import { dataOf, fileData, type TensorData } from '../tensor-data.js';

const WINDOW_BYTES = 256 * 1024;

export interface Source {
  readonly size: number;
  /** How often the file was asked: weights that are not wanted cost nothing. */
  readonly reads: number;
  byte(at: number): number;
  /** A copy. The caller has checked the bounds. */
  copy(at: number, length: number): Uint8Array;
  /** The bytes without reading them now. */
  data(at: number, length: number): TensorData;
}

export function memorySource(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    reads: 0,
    byte: (at) => bytes[at]!,
    copy: (at, length) => Uint8Array.from(bytes.subarray(at, at + length)),
    data: (at, length) => dataOf(bytes.subarray(at, at + length)),
  };
}

/** Calls `use` with a file's bytes, a window of which is in memory at a time. */
export function withFile<T>(path: string, use: (source: Source) => T): T {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, size));
    let [start, end, reads] = [0, 0, 0];
    const fill = (at: number) => {
      const read = readSync(file, window, 0, window.length, at);
      if (read === 0) throw invalid('it has become shorter while it was read');
      [start, end] = [at, at + read];
      reads++;
    };
    return use({
      size,
      get reads() {
        return reads;
      },
      byte(at) {
        if (at < start || at >= end) fill(at);
        return window[at - start]!;
      },
      copy(at, length) {
        if (at >= start && at + length <= end) return Uint8Array.from(window.subarray(at - start, at - start + length));
        reads++;
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const read = readSync(file, bytes, done, length - done, at + done);
          if (read === 0) throw invalid('it has become shorter while it was read');
          done += read;
        }
        return bytes;
      },
      data: (at, length) => fileData(path, at, length),
    });
  } finally {
    closeSync(file);
  }
}
