/**
 * The bytes of a tensor, little-endian, as `raw_data` holds them: in memory, still in a file, or made when they are asked
 * for. A model of many gigabytes is edited and saved with one tensor in memory at a time.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { invalid } from './invalid.js';

/** Read and written at once; a whole tensor is never needed to copy it. */
const CHUNK_BYTES = 8 * 1024 * 1024;

export interface TensorData {
  readonly byteLength: number;
  /** All bytes. Valid for as long as the caller likes; not to be written to. */
  bytes(): Uint8Array;
  /** The same bytes in order, a few megabytes at a time; each piece is valid until the next is asked for. */
  chunks(): Iterable<Uint8Array>;
}

export function dataOf(view: ArrayBufferView): TensorData {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return { byteLength: bytes.length, bytes: () => bytes, chunks: () => [bytes] };
}

/** Computed at each use, so that a converted weight lives only while it is written. `make` returns `byteLength` bytes. */
export function lazyData(byteLength: number, make: () => ArrayBufferView): TensorData {
  const bytes = () => {
    const view = make();
    if (view.byteLength !== byteLength) throw new RangeError(`${view.byteLength} bytes were made of ${byteLength}`);
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  };
  return {
    byteLength,
    bytes,
    *chunks() {
      yield bytes();
    },
  };
}

/** A part of a file that must stay as it is: read anew at each use. */
export function fileData(path: string, offset: number, byteLength: number): TensorData {
  return {
    byteLength,
    bytes() {
      const bytes = new Uint8Array(byteLength);
      let at = 0;
      for (const chunk of readChunks(path, offset, byteLength)) {
        bytes.set(chunk, at);
        at += chunk.length;
      }
      return bytes;
    },
    chunks: () => readChunks(path, offset, byteLength),
  };
}

function* readChunks(path: string, offset: number, byteLength: number): Iterable<Uint8Array> {
  const file = openSync(path, 'r');
  try {
    if (fstatSync(file).size < offset + byteLength) throw invalid(`${path} has become shorter while it was in use`);
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, byteLength));
    for (let done = 0; done < byteLength; ) {
      const read = readSync(file, buffer, 0, Math.min(buffer.length, byteLength - done), offset + done);
      if (read === 0) throw invalid(`${path} has become shorter while it was in use`);
      yield buffer.subarray(0, read);
      done += read;
    }
  } finally {
    closeSync(file);
  }
}
