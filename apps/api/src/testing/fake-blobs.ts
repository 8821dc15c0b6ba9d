/** A Store in memory. */
import { createHash } from 'node:crypto';
import type { ShoalError } from '@shoal/contracts';
import type { Listed, Reading, ReadOptions, Store, WriteOptions, Written } from '@shoal/storage';

export class FakeBlobs implements Store {
  readonly blobs = new Map<string, Buffer>();
  /** What every call throws from now on. */
  failure: ShoalError | undefined;
  /** Bytes that a piece of a stream has. */
  sliceBytes = 64 * 1024;
  /** Most bytes that were taken of a source, or given of a blob, and not yet asked to go on. */
  taken = 0;

  async write(key: string, source: AsyncIterable<Uint8Array>, { signal }: WriteOptions = {}): Promise<Written> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) {
      if (this.failure) throw this.failure;
      signal?.throwIfAborted();
      chunks.push(chunk);
    }
    const blob = Buffer.concat(chunks);
    this.blobs.set(key, blob);
    return { bytes: blob.length, sha256: createHash('sha256').update(blob).digest('hex') };
  }

  async read(key: string, { range }: ReadOptions = {}): Promise<Reading | undefined> {
    if (this.failure) throw this.failure;
    const blob = this.blobs.get(key);
    if (blob === undefined) return undefined;
    const part = range === undefined ? blob : blob.subarray(range.first, range.last + 1);
    return { bytes: part.length, stream: this.#slices(part) };
  }

  async *#slices(part: Buffer): AsyncGenerator<Uint8Array, void> {
    for (let at = 0; at < part.length; at += this.sliceBytes) {
      if (this.failure) throw this.failure;
      const slice = part.subarray(at, at + this.sliceBytes);
      this.taken += slice.length;
      yield slice;
    }
  }

  async size(key: string): Promise<number | undefined> {
    return this.blobs.get(key)?.length;
  }

  async remove(key: string): Promise<void> {
    if (this.failure) throw this.failure;
    this.blobs.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<Listed, void> {
    if (this.failure) throw this.failure;
    for (const [key, blob] of [...this.blobs]) {
      if (key.startsWith(prefix)) yield { key, bytes: blob.length, modifiedAt: 0 };
    }
  }

  async check(): Promise<void> {
    if (this.failure) throw this.failure;
  }

  async close(): Promise<void> {}
}
