/** A blob on its way in: counted, hashed and bounded, in blocks of the size that a store likes. */
import { createHash } from 'node:crypto';
import { tooLarge } from './failures.js';
import type { WriteOptions, Written } from './store.js';

export class Incoming {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #maxBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterable<Uint8Array>, { maxBytes = Number.POSITIVE_INFINITY, signal }: WriteOptions = {}) {
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#signal = signal;
  }

  /** Of all blocks that were taken. */
  get written(): Written {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }

  /** Whether this is what the source, the signal or the bound ended it with, and nothing of the store's. */
  isOwn(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }

  /** @throws the signal's reason */
  throwIfAborted(): void {
    try {
      this.#signal?.throwIfAborted();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /**
   * All of it in blocks of `blockBytes`, but for the last one, which is shorter. Each has memory of its own, and the source may
   * use that of its chunks again. A source that says nothing does not hold up the signal.
   *
   * @throws whatever the source throws; the signal's reason; ShoalError `file_too_large`
   */
  async *blocks(blockBytes: number): AsyncGenerator<Buffer, void, undefined> {
    let block: Buffer | undefined;
    let filled = 0;
    for await (const chunk of this.#chunks()) {
      for (let at = 0; at < chunk.byteLength; ) {
        block ??= Buffer.allocUnsafeSlow(blockBytes);
        const part = chunk.subarray(at, at + blockBytes - filled);
        block.set(part, filled);
        filled += part.byteLength;
        at += part.byteLength;
        if (filled < blockBytes) continue;
        yield block;
        block = undefined;
        filled = 0;
      }
    }
    if (block !== undefined) yield block.subarray(0, filled);
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = this.#source[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await orAborted(iterator.next(), this.#signal);
        if (done === true) {
          ended = true;
          return;
        }
        this.#count(value);
        yield value;
      }
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      // Not waited for: it may be in the middle of what it does not end.
      if (!ended) void iterator.return?.().catch(() => undefined);
    }
  }

  #count(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#maxBytes) throw tooLarge(this.#maxBytes);
    this.#hash.update(chunk);
  }
}

/** As a source. */
export async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** `promise`, unless the signal aborts before. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    const settled = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    void promise.then(resolve, reject).finally(settled);
  });
}
