/**
 * Asynchronous native calls. Each occupies a thread of libuv's pool (4 unless UV_THREADPOOL_SIZE says otherwise, shared
 * with files and DNS) and memory of koffi's while it waits for one, so no more than a few wait there; the rest wait here.
 */
export type Argument = bigint | number | string | ArrayBufferView;

export type NativeFunction = ((...args: Argument[]) => bigint | null) & {
  async(...args: [...Argument[], (error: Error | null, result: bigint | null) => void]): void;
};

/** koffi refuses more than 256 at once; half leaves room for a second runtime in the process. */
const MAX_CALLS = 128;

export class CallPool {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async call(native: NativeFunction, args: readonly Argument[]): Promise<bigint | null> {
    if (this.#running === MAX_CALLS) await new Promise<void>((admit) => this.#waiting.push(admit));
    else this.#running++;
    try {
      return await new Promise((resolve, reject) => {
        native.async(...args, (error, result) => (error === null ? resolve(result) : reject(error)));
      });
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
