/**
 * The order in which examples are trained on: each epoch all of them, shuffled anew. It follows from the seed and the place
 * alone, so that a run which is gone on with needs to know no more than how far it was.
 */
import { seededRandom, shuffled } from './random.js';

export class ShuffledOrder {
  readonly #examples: number;
  readonly #seed: number;
  #epoch = -1;
  #order: readonly number[] = [];

  constructor(examples: number, seed: number) {
    this.#examples = examples;
    this.#seed = seed;
  }

  /** Examples, by their numbers, at the places `from` to `from + count` of all epochs one behind the other. */
  take(from: number, count: number): number[] {
    return Array.from({ length: count }, (_, n) => this.#at(from + n));
  }

  #at(place: number): number {
    const epoch = Math.floor(place / this.#examples);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = shuffled(Array(this.#examples).keys(), seededRandom(mixed(this.#seed, epoch)));
    }
    return this.#order[place % this.#examples]!;
  }
}

/** A seed of each epoch's own: neighbours have nothing in common (the finaliser of MurmurHash3). */
function mixed(seed: number, epoch: number): number {
  let x = (seed ^ Math.imul(epoch + 1, 0x9e3779b1)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
