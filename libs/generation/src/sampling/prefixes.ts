/** The whole vocabulary: how far down from the likeliest token one has to go, and draws among so many. */
import type { Likeliest } from './likeliest.js';
import type { History } from './penalties.js';

/** Tokens are sorted into buckets by how much less likely they are than the likeliest, 32 to a unit; only one bucket is sorted. */
const BUCKETS = 1024;
const PER_UNIT = 32;

/** The last token of those that are kept, and the weight of all of them. */
export interface Prefix {
  /** Undefined: all tokens. */
  readonly last: number | undefined;
  readonly weight: number;
}

export class Prefixes {
  readonly #values: Float64Array;
  readonly #weights: Float64Array;
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #masses = new Float64Array(BUCKETS);
  #top = 0;
  #temperature = 1;

  constructor(vocabulary: number) {
    this.#values = new Float64Array(vocabulary);
    this.#weights = new Float64Array(vocabulary);
  }

  /** Takes logits, changes them and fills the list of the likeliest. */
  load(logits: Float32Array, history: History, list: Likeliest): void {
    const values = this.#values;
    values.set(logits);
    for (const [n, id] of history.ids.entries()) {
      if (id < values.length) values[id] = history.adjusted(n, values[id]!);
    }
    list.clear();
    for (let id = 0; id < values.length; id++) list.add(id, values[id]!);
  }

  /** Weights relative to `top`'s; those more than `negligible` temperatures below it have none. Returns their sum. */
  weigh(temperature: number, top: number, negligible: number): number {
    const [values, weights] = [this.#values, this.#weights];
    const scale = 1 / temperature;
    let sum = 0;
    for (let id = 0; id < values.length; id++) {
      const below = (values[id]! - top) * scale;
      weights[id] = below < -negligible ? 0 : Math.exp(below);
      sum += weights[id]!;
    }
    this.#top = top;
    this.#temperature = temperature;
    return sum;
  }

  /** The likeliest tokens until there are `count` of them, or their weight reaches `weight`. */
  find(count: number, weight: number): Prefix {
    const [values, weights] = [this.#values, this.#weights];
    const [counts, masses] = [this.#counts.fill(0), this.#masses.fill(0)];
    for (let id = 0; id < values.length; id++) {
      const bucket = this.#bucketOf(id);
      counts[bucket]!++;
      masses[bucket]! += weights[id]!;
    }
    let [bucket, passed, mass] = [0, 0, 0];
    while (bucket < BUCKETS && passed + counts[bucket]! < count && mass + masses[bucket]! < weight) {
      passed += counts[bucket]!;
      mass += masses[bucket]!;
      bucket++;
    }
    if (bucket === BUCKETS) return { last: undefined, weight: mass };
    const ids: number[] = [];
    for (let id = 0; id < values.length; id++) if (this.#bucketOf(id) === bucket) ids.push(id);
    ids.sort((a, b) => values[b]! - values[a]! || a - b);
    let last: number | undefined;
    for (const id of ids) {
      if (passed >= count || mass >= weight) break;
      passed++;
      mass += weights[id]!;
      last = id;
    }
    return { last, weight: mass };
  }

  /** Draws among the tokens down to `last` that have at least `minimum` of the likeliest one's weight. */
  draw(list: Likeliest, sums: Float64Array, last: Prefix['last'], minimum: number, u: number): number {
    const [values, weights] = [this.#values, this.#weights];
    const lowest = last === undefined ? Number.NEGATIVE_INFINITY : values[last]!;
    const lastId = last ?? Number.POSITIVE_INFINITY;
    const kept = (id: number) => {
      const value = values[id]!;
      return (
        weights[id]! >= minimum && (value > lowest || (value === lowest && id <= lastId)) && !list.holds(id, value)
      );
    };
    const listed = sums[list.size - 1]!;
    let total = listed;
    for (let id = 0; id < values.length; id++) if (kept(id)) total += weights[id]!;
    const target = u * total;
    for (let i = 0; i < list.size; i++) if (sums[i]! > target) return list.ids[i]!;
    let sum = listed;
    let latest = list.ids[list.size - 1]!;
    for (let id = 0; id < values.length; id++) {
      if (weights[id] === 0 || !kept(id)) continue;
      sum += weights[id]!;
      latest = id;
      if (sum > target) break;
    }
    return latest;
  }

  #bucketOf(id: number): number {
    const below = ((this.#top - this.#values[id]!) / this.#temperature) * PER_UNIT;
    return below < BUCKETS - 1 ? Math.floor(below) : BUCKETS - 1;
  }
}
