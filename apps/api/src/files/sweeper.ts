/**
 * Removes from the store what no record tells of any more: files that were deleted or have expired, and uploads that broke
 * off. One API replica at a time does it; what it does not get done stays noted in Redis.
 */
import type { FileStore } from '@shoal/queue';
import { filePrefix } from '@shoal/queue';
import type { Store } from '@shoal/storage';

const INTERVAL_MS = 1000;

export class FileSweeper {
  readonly #records: FileStore;
  readonly #store: Store;
  readonly #onError: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `onError`: told what went wrong; it is tried again. */
  constructor(records: FileStore, store: Store, onError: (error: Error) => void) {
    this.#records = records;
    this.#store = store;
    this.#onError = onError;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.sweep()
        .catch(this.#onError)
        .then(() => {
          if (this.#timer) this.start();
        });
    }, INTERVAL_MS);
  }

  /** Resolves when what runs has ended. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  async sweep(): Promise<void> {
    for (const id of await this.#records.sweep()) await this.#erase(id).catch(this.#onError);
  }

  async #erase(id: string): Promise<void> {
    for await (const { key } of this.#store.list(filePrefix(id))) await this.#store.remove(key);
    await this.#records.erased(id);
  }
}
