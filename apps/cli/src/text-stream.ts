/** Text that grows token by token. A token may hold a part of a character, or show otherwise where others stand before it. */

/** What a decoder puts where the bytes of a character are not complete. */
const INCOMPLETE = '\uFFFD';

export class TextStream {
  readonly #decode: (ids: number[]) => Promise<string>;
  /** Tokens from the last ones that were shown on: what comes before has no effect on how they look. */
  #ids: number[] = [];
  /** How many of them have been shown. */
  #shown = 0;

  constructor(decode: (ids: number[]) => Promise<string>) {
    this.#decode = decode;
  }

  /** The text that `id` adds; '' as long as a character is incomplete. */
  async add(id: number): Promise<string> {
    this.#ids.push(id);
    const text = await this.#added();
    if (text === '' || text.endsWith(INCOMPLETE)) return '';
    this.#ids = this.#ids.slice(this.#shown);
    this.#shown = this.#ids.length;
    return text;
  }

  /** What is left when no more tokens come. */
  async end(): Promise<string> {
    const text = await this.#added();
    this.#ids = [];
    this.#shown = 0;
    return text;
  }

  async #added(): Promise<string> {
    const before = this.#shown === 0 ? '' : await this.#decode(this.#ids.slice(0, this.#shown));
    return (await this.#decode([...this.#ids])).slice(before.length);
  }
}
