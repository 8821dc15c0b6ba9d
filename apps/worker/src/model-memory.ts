/**
 * What models take of the memory that they may have together, in one currency: bytes that a model took when it was loaded,
 * and bytes that are kept for its cache. What the process has beside them is not counted against it.
 */
import { leastCacheBytes } from '@shoal/generation';
import { type Model, weightBytes } from '@shoal/models';

/** Loading takes no more than this: weights may be in memory twice for a while, and passes measure what they may hold. */
const MOST_OF_WEIGHTS = 3;
const MOST_BESIDE = 128 * 2 ** 20;
/** Of what is free, for models that come later: a new version of this one, what a job asks for. */
const SPARE = 0.25;

interface Size {
  readonly weights: number;
  /** Of the keys and values of one text of a model that generates text. */
  readonly cache: number;
  /** What loading it took at most, where it was loaded before. */
  measured: number;
}

/** What a model may take when it is loaded. */
export interface Room {
  /** Bytes, its weights included. */
  readonly bytes: number;
  /** Of what its weights leave of them, the share that its cache may have. */
  readonly cacheShare: number;
}

export class ModelMemory {
  readonly limit: number;
  readonly #sizes = new Map<Model, Size>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Forgets all others. */
  async follow(models: readonly Model[]): Promise<void> {
    const there = new Set(models);
    for (const model of this.#sizes.keys()) if (!there.has(model)) this.#sizes.delete(model);
    for (const model of models) {
      if (this.#sizes.has(model)) continue;
      // One that cannot be read says why when it is loaded.
      const [weights, cache] = await Promise.all([weightBytes(model), leastCacheOf(model)]).catch(
        () => [0, 0] as const,
      );
      this.#sizes.set(model, { weights, cache, measured: 0 });
    }
  }

  /** What it takes at least. */
  leastOf(model: Model): number {
    const { weights, cache } = this.#sizeOf(model);
    return weights + cache;
  }

  /** What it is likely to take; a model that is not too large by itself has room alone. */
  bytesOf(model: Model): number {
    return Math.max(this.leastOf(model), Math.min(this.limit, this.#weightsOf(model) + this.#sizeOf(model).cache));
  }

  /**
   * Notes how much the process grew while it was loaded, within what can have been its own doing, and returns that; its cache,
   * which is empty, is not in it.
   */
  measure(model: Model, grown: number): number {
    const size = this.#sizeOf(model);
    const own = Math.max(size.weights, Math.min(grown, MOST_OF_WEIGHTS * size.weights + MOST_BESIDE));
    // The most of all times: one that went because it took too much is not loaded again and again as if it did not.
    size.measured = Math.max(size.measured, own);
    return own;
  }

  /** `taken`: bytes of what is loaded. `awaited`: those that are to be loaded as well, which are left room for. */
  roomFor(model: Model, taken: number, awaited: readonly Model[]): Room {
    const bytes = this.limit - taken;
    if (bytes === Number.POSITIVE_INFINITY) return { bytes, cacheShare: 1 };
    const others = awaited.filter((other) => other !== model);
    const kept = others.reduce((sum, other) => sum + this.bytesOf(other), 0);
    const generators = 1 + others.filter(({ generator }) => generator !== null).length;
    const left = bytes - this.#weightsOf(model);
    const own = ((1 - SPARE) / generators) * (left - kept);
    return { bytes, cacheShare: left > 0 ? Math.max(0, own / left) : 0 };
  }

  #weightsOf(model: Model): number {
    const { weights, measured } = this.#sizeOf(model);
    return Math.max(weights, measured);
  }

  #sizeOf(model: Model): Size {
    return this.#sizes.get(model) ?? { weights: 0, cache: 0, measured: 0 };
  }
}

async function leastCacheOf(model: Model): Promise<number> {
  return leastCacheBytes(model);
}
