/**
 * The whole vocabulary but the listed likeliest tokens: what weight each has, how far down one has to go, and which of them is
 * drawn. There are up to some hundred thousand tokens, so that this is a few plain passes over typed arrays.
 */
import type { Likeliest } from './likeliest.js';
import type { History } from './penalties.js';

/** In units of the temperature: tokens that are so much less likely than the likeliest are never drawn. */
const NEGLIGIBLE = 45;
/** Powers of e in steps of 1/128: with three terms of its series an exponential is right to nine digits, several times as fast. */
const STEPS = 128;
const POWERS = Float64Array.from({ length: NEGLIGIBLE * STEPS + 1 }, (_, n) => Math.exp(-n / STEPS));
/** Tokens are sorted into buckets by how much less likely they are than the likeliest; only one bucket is sorted. */
const BUCKETS = 4096;
/** Tokens whose weights are added up, so that a draw skips most of them. */
const BLOCK = 512;

export class Weights {
  readonly #values: Float64Array;
  /** Relative to the likeliest token's; 0 of those that are listed, or cannot be drawn. */
  readonly #weights: Float64Array;
  readonly #blocks: Float64Array;
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #masses = new Float64Array(BUCKETS);
  readonly #bucketOf: Uint16Array;
  /** Tokens of one bucket. */
  readonly #bucket: Uint32Array;
  /** The likeliest token's logit, and by how much less the least likely one has that can be drawn. */
  #top = 0;
  #range = 0;

  constructor(vocabulary: number) {
    this.#values = new Float64Array(vocabulary);
    this.#weights = new Float64Array(vocabulary);
    this.#blocks = new Float64Array(Math.ceil(vocabulary / BLOCK));
    this.#bucketOf = new Uint16Array(vocabulary);
    this.#bucket = new Uint32Array(vocabulary);
  }

  /** Takes logits and changes them. A list that is not full is filled with the likeliest. */
  load(logits: Float32Array, history: History, list: Likeliest): void {
    const values = this.#values;
    values.set(logits);
    const { ids } = history;
    for (let n = 0; n < ids.length; n++) {
      const id = ids[n]!;
      if (id < values.length) values[id] = history.adjusted(n, values[id]!);
    }
    if (list.full) return;
    list.clear();
    let least = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < values.length; id++) {
      if (list.full && values[id]! <= least) continue;
      list.add(id, values[id]!);
      least = list.values[list.size - 1]!;
    }
  }

  /** The weight of all that are not listed, together. */
  weigh(temperature: number, list: Likeliest): number {
    const [values, weights] = [this.#values, this.#weights];
    const [scale, top] = [1 / temperature, list.values[0]!];
    let deepest = 0;
    for (let id = 0; id < values.length; id++) {
      const below = (top - values[id]!) * scale;
      if (below < NEGLIGIBLE) {
        if (below > deepest) deepest = below;
        const step = (below * STEPS) | 0;
        const rest = below - step / STEPS;
        weights[id] = POWERS[step]! * (1 - rest * (1 - rest * (0.5 - rest / 6)));
      } else {
        weights[id] = 0;
      }
    }
    this.#top = top;
    this.#range = deepest * temperature;
    for (let n = 0; n < list.size; n++) weights[list.ids[n]!] = 0;
    return this.#sum();
  }

  /** Keeps the likeliest until there are `count` of them, or their weight reaches `weight`. The weight of those that are kept. */
  keep(count: number, weight: number): number {
    const [values, weights, bucketOf] = [this.#values, this.#weights, this.#bucketOf];
    const [counts, masses] = [this.#counts.fill(0), this.#masses.fill(0)];
    const top = this.#top;
    const scale = BUCKETS / (this.#range || 1);
    for (let id = 0; id < weights.length; id++) {
      if (weights[id] === 0) continue;
      const bucket = Math.min(((top - values[id]!) * scale) | 0, BUCKETS - 1);
      bucketOf[id] = bucket;
      counts[bucket]!++;
      masses[bucket]! += weights[id]!;
    }
    let [last, passed, mass] = [0, 0, 0];
    while (last < BUCKETS && passed + counts[last]! < count && mass + masses[last]! < weight) {
      passed += counts[last]!;
      mass += masses[last]!;
      last++;
    }
    let size = 0;
    for (let id = 0; id < weights.length; id++) {
      if (weights[id] === 0) continue;
      if (bucketOf[id]! === last) this.#bucket[size++] = id;
      else if (bucketOf[id]! > last) weights[id] = 0;
    }
    for (const id of this.#bucket.subarray(0, size).sort((a, b) => values[b]! - values[a]! || a - b)) {
      if (passed < count && mass < weight) {
        passed++;
        mass += weights[id]!;
      } else {
        weights[id] = 0;
      }
    }
    return this.#sum();
  }

  /** Keeps those that have at least `minimum` of the likeliest token's weight. The weight of those that are kept. */
  drop(minimum: number): number {
    const weights = this.#weights;
    for (let id = 0; id < weights.length; id++) if (weights[id]! < minimum) weights[id] = 0;
    return this.#sum();
  }

  /** The token that weights, added up in the order of ids, reach `target` with; undefined where there is none at all. */
  draw(target: number): number | undefined {
    const [weights, blocks] = [this.#weights, this.#blocks];
    let sum = 0;
    let block = 0;
    while (block < blocks.length && sum + blocks[block]! <= target) sum += blocks[block++]!;
    let latest: number | undefined;
    for (let id = block * BLOCK; id < weights.length; id++) {
      if (weights[id] === 0) continue;
      sum += weights[id]!;
      latest = id;
      if (sum > target) return id;
    }
    // Rounding: less is left than there should be.
    for (let id = block * BLOCK - 1; latest === undefined && id >= 0; id--) if (weights[id] !== 0) latest = id;
    return latest;
  }

  #sum(): number {
    const [weights, blocks] = [this.#weights, this.#blocks];
    let total = 0;
    for (let block = 0; block < blocks.length; block++) {
      const end = Math.min((block + 1) * BLOCK, weights.length);
      let sum = 0;
      for (let id = block * BLOCK; id < end; id++) sum += weights[id]!;
      blocks[block] = sum;
      total += sum;
    }
    return total;
  }
}
