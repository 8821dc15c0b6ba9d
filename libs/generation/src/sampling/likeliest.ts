/** The likeliest of many tokens, in order: likeliest first, of equal ones the lower id first. Memory is reused. */

export class Likeliest {
  readonly #limit: number;
  readonly ids: Uint32Array;
  readonly values: Float64Array;
  size = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.ids = new Uint32Array(limit);
    this.values = new Float64Array(limit);
  }

  get full(): boolean {
    return this.size === this.#limit;
  }

  clear(): void {
    this.size = 0;
  }

  add(id: number, value: number): void {
    const { ids, values } = this;
    if (this.size === this.#limit && !this.#before(id, value, this.size - 1)) return;
    let at = this.size < this.#limit ? this.size++ : this.size - 1;
    for (; at > 0 && this.#before(id, value, at - 1); at--) {
      ids[at] = ids[at - 1]!;
      values[at] = values[at - 1]!;
    }
    ids[at] = id;
    values[at] = value;
  }

  /** Whether a token that was added is still there. */
  holds(id: number, value: number): boolean {
    const last = this.size - 1;
    return last >= 0 && !(value < this.values[last]! || (value === this.values[last]! && id > this.ids[last]!));
  }

  #before(id: number, value: number, at: number): boolean {
    const other = this.values[at]!;
    return value > other || (value === other && id < this.ids[at]!);
  }
}
