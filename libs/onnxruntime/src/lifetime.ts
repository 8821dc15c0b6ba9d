/** When a session or binding may be freed: once closed, and nobody is using it any more. */
import { ShoalError } from '@shoal/contracts';

export class Lifetime {
  readonly #what: string;
  #users = 0;
  #closed = false;
  #becomeIdle = () => {};
  readonly #idle = new Promise<void>((resolve) => {
    this.#becomeIdle = resolve;
  });
  #end: Promise<void> | undefined;

  constructor(what: string) {
    this.#what = what;
  }

  /** Holds off the end while `work` runs. @throws ShoalError `internal_error` once closed. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    this.#users++;
    try {
      return await work();
    } finally {
      this.#users--;
      if (this.#closed && this.#users === 0) this.#becomeIdle();
    }
  }

  assertOpen(): void {
    if (this.#closed) throw new ShoalError('internal_error', `The ${this.#what} has been released`);
  }

  /** Refuses new users, waits for those there are, then calls `free` once, however often this is called. */
  close(free: () => void | Promise<void>): Promise<void> {
    this.#closed = true;
    if (this.#users === 0) this.#becomeIdle();
    this.#end ??= this.#idle.then(free);
    return this.#end;
  }
}
