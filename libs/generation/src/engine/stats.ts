/** What the engine counts. In memory that the thread which serves requests can read at any time. */

const COUNTERS = [
  'running',
  'waiting',
  'cacheBytes',
  'steps',
  'promptTokens',
  'tokens',
  'prefixHits',
  'prefixTokens',
  'accepted',
  'rejected',
  'passSeconds',
  'otherSeconds',
  'rests',
] as const;

/**
 * `running`, `waiting`: texts with and without a row. `cacheBytes`: of the cache, in memory. `promptTokens`, `tokens`: that
 * were processed and made. `prefixHits`, `prefixTokens`: texts that began with a prefix which was in the cache, and its
 * tokens. `accepted`, `rejected`: proposals of what follows. `passSeconds`, `otherSeconds`: of steps, in passes of the model
 * and beside them. `rests`: how often there was nothing to do.
 */
export type EngineStats = Record<(typeof COUNTERS)[number], number>;

/** Counters in `memory`, by name. */
export class SharedStats {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory = new SharedArrayBuffer(COUNTERS.length * Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  write(stats: EngineStats): void {
    COUNTERS.forEach((name, n) => {
      this.#values[n] = stats[name];
    });
  }

  read(): EngineStats {
    return Object.fromEntries(COUNTERS.map((name, n) => [name, this.#values[n]!])) as EngineStats;
  }
}

export function noStats(): EngineStats {
  return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as EngineStats;
}
