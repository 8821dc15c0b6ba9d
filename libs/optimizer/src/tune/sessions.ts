/** What is made with a setting's session, kept as long as there is room: making it may take longer than measuring it. */

export class Sessions<T> {
  readonly #most: number;
  readonly #close: (opened: T) => Promise<void>;
  /** The one used longest ago first. */
  readonly #opened = new Map<string, T>();

  /** `most`: that are kept, at least 1. */
  constructor(most: number, close: (opened: T) => Promise<void>) {
    this.#most = most;
    this.#close = close;
  }

  /** What was opened under this key, else what `open` makes. One call at a time. */
  async get(key: string, open: () => Promise<T>): Promise<T> {
    let opened = this.#opened.get(key);
    this.#opened.delete(key);
    if (opened === undefined) {
      for (const [oldest, other] of this.#opened) {
        if (this.#opened.size < this.#most) break;
        this.#opened.delete(oldest);
        await this.#close(other);
      }
      opened = await open();
    }
    this.#opened.set(key, opened);
    return opened;
  }

  async close(): Promise<void> {
    const all = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all(all.map((opened) => this.#close(opened)));
  }
}
