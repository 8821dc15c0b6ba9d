/** A list whose elements are made when they are asked for: of a result of 8 MiB all of them would take ten times that. */
export class LazyList<T> implements Iterable<T> {
  constructor(
    readonly length: number,
    private readonly at: (index: number) => T,
  ) {}

  *[Symbol.iterator](): Iterator<T> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** For JSON.stringify: all elements at once. */
  toJSON(): T[] {
    return [...this];
  }
}
