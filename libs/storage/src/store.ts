/** What every store does: blobs by key, on a disk of this machine or in a bucket. */

/**
 * Blobs by key. A key is segments of [A-Za-z0-9._-] joined by '/'; no segment is '.' or '..'. No key is the folder of another
 * (`a` beside `a/b`): some stores cannot hold both.
 *
 * What the store itself fails of is a ShoalError: `storage_full` or `storage_unavailable`. A key that is none, and a range
 * that is none, are `invalid_request`.
 */
export interface Store {
  /**
   * Streams `source` to `key`. Nothing is there until it is whole; an older blob is replaced whole, and of several writers the
   * last whole one wins. Resolves when the store has all of it for good.
   *
   * @throws whatever `source` throws; the signal's reason; ShoalError `file_too_large` where it grows beyond `maxBytes`,
   *   `storage_full`, `storage_unavailable`. Then nothing of it is left, and an older blob is as it was.
   */
  write(key: string, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<Written>;
  /**
   * Undefined where nothing is. The stream holds nothing until it is read from, and lets go of all where its reader stops; the
   * signal ends it. It is of one blob: where that is replaced or removed meanwhile, it goes on or ends in an error.
   *
   * @throws ShoalError `storage_unavailable`, the stream too; the signal's reason
   */
  read(key: string, options?: ReadOptions): Promise<Reading | undefined>;
  /** In bytes; undefined where nothing is. */
  size(key: string): Promise<number | undefined>;
  /** Removing what is not there is no error. */
  remove(key: string): Promise<void>;
  /**
   * The keys that begin with `prefix` (which need not end with a segment), with their bytes and age, in any order, in bounded
   * slices. What is written or removed meanwhile is there or not.
   */
  list(prefix: string): AsyncIterable<Listed>;
  /** Resolves where writing and reading work now. @throws ShoalError that says what is wrong otherwise (readiness) */
  check(): Promise<void>;
  /** Lets go of connections. Call it when nothing runs any more. */
  close(): Promise<void>;
}

export interface WriteOptions {
  readonly maxBytes?: number;
  /** Ends the writing, as long as the store has not been given the last byte. */
  readonly signal?: AbortSignal;
}

export interface Written {
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface ReadOptions {
  /** In bytes, both ends included. What of it lies behind the end of the blob is left out. */
  readonly range?: { readonly first: number; readonly last: number };
  readonly signal?: AbortSignal;
}

export interface Reading {
  /** That `stream` brings: those of the range, where there is one. */
  readonly bytes: number;
  /** Once only. */
  readonly stream: AsyncIterable<Uint8Array>;
}

export interface Listed {
  readonly key: string;
  readonly bytes: number;
  /** Unix ms, by the store's clock. */
  readonly modifiedAt: number;
}
