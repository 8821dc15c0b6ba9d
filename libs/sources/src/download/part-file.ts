/**
 * The part of a file that is there, with the digest of it. Bytes are written where they belong, not at the end of what is
 * there: two processes that do not know of each other (of two machines, on one disk) write the same bytes in the same places.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { SourceFile } from '../source-file.js';
import { type Digester, digester } from './digest.js';

const READ_BYTES = 1024 * 1024;

export class PartFile {
  readonly #handle: FileHandle;
  readonly #file: SourceFile;
  #digest: Digester | undefined;
  #size = 0;

  private constructor(handle: FileHandle, file: SourceFile) {
    this.#handle = handle;
    this.#file = file;
    this.#digest = newDigest(file);
  }

  /** Reads what is there already, of which only a whole digest, or a tag, can tell whether it belongs to the file. */
  static async open(path: string, file: SourceFile, signal: AbortSignal): Promise<PartFile> {
    // A link in its place is none of ours.
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
    const part = new PartFile(handle, file);
    try {
      await part.#readBack(signal);
      return part;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Bytes from the beginning that are there. */
  get size(): number {
    return this.#size;
  }

  async append(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.byteLength) {
      const rest = chunk.subarray(written);
      written += (await this.#handle.write(rest, 0, rest.byteLength, this.#size + written)).bytesWritten;
    }
    this.#digest?.update(chunk);
    this.#size += chunk.byteLength;
  }

  async clear(): Promise<void> {
    await this.#handle.truncate(0);
    this.#digest = newDigest(this.#file);
    this.#size = 0;
  }

  /** On the disk, as far as the operating system can tell. */
  async flush(): Promise<void> {
    await this.#handle.truncate(this.#size);
    await this.#handle.sync();
  }

  /** Undefined where the source told no digest. Once only, or after `clear`. */
  digest(): string | undefined {
    return this.#digest?.value();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #readBack(signal: AbortSignal): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size > this.#file.size) return await this.clear();
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size));
    while (this.#size < size) {
      signal.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#size);
      if (bytesRead === 0) break;
      this.#digest?.update(buffer.subarray(0, bytesRead));
      this.#size += bytesRead;
    }
  }
}

function newDigest({ digest, size }: SourceFile): Digester | undefined {
  return digest === undefined ? undefined : digester(digest.algorithm, size);
}
