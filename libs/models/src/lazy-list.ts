/** A list whose elements are made when they are asked for: of a result of 8 MiB all of them would take ten times that. */
export class LazyList<T> implements Iterable<T> {
  /** `elements` is called for each pass over the list. */
  constructor(private readonly elements: () => Iterable<T>) {}

  static of<T>(length: number, at: (index: number) => T): LazyList<T> {
    return new LazyList(function* () {
      for (let index = 0; index < length; index++) yield at(index);
    });
  }

  [Symbol.iterator](): Iterator<T> {
    return this.elements()[Symbol.iterator]();
  }

  /** For JSON.stringify: all elements at once. */
  toJSON(): T[] {
    return [...this];
  }
}
