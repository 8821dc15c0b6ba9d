/**
 * What one replica does under load, in tokens a second, learned from the micro-batches that it runs. Tokens are those of the
 * jobs, without padding, as arrivals and the queue are counted.
 *
 * Batches at least half full show it. Smaller ones are what an idle fleet runs, and say little: a pass costs something
 * whatever is in it, so they must not lower what is known. But they show that a replica does no less, and that is what
 * frees a fleet from a rate that is far too low, for it has so many replicas that none ever fills a batch.
 */

/** The limits of a micro-batch. */
export interface BatchShape {
  readonly maxBatchSize: number;
  readonly maxBatchTokens: number;
}

interface Work {
  readonly tokens: number;
  /** Seconds of one replica (libs/batching/src/work-clock.ts). */
  readonly seconds: number;
}

/** What a replica has done since it last told. */
export interface Evidence {
  readonly full: Work;
  readonly small: Work;
}

const HALF_FULL = 0.5;
/** A pass that runs by itself has caches and memory bandwidth to itself: so much faster it may be than one among others. */
const LONE_GAIN = 1.5;
/** Time constant in seconds of replicas at work: alone a replica corrects its rate in half a minute, ten in three seconds. */
const LEARN_SECONDS = 30;
const NOTHING: Work = { tokens: 0, seconds: 0 };

/** Collects what a replica does until it tells. */
export class RateEvidence {
  readonly #shape: BatchShape;
  #full = NOTHING;
  #small = NOTHING;

  constructor(shape: BatchShape) {
    this.#shape = shape;
  }

  /** A micro-batch that succeeded: the lengths of its items in tokens, and its seconds by the replica's work clock. */
  add(lengths: readonly number[], seconds: number): void {
    const { maxBatchSize, maxBatchTokens } = this.#shape;
    const padded = Math.max(...lengths) * lengths.length;
    const fill = Math.max(lengths.length / maxBatchSize, padded / maxBatchTokens);
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const work = { tokens, seconds };
    if (fill >= HALF_FULL) this.#full = sum(this.#full, work);
    else this.#small = sum(this.#small, work);
  }

  /** What has been done since the last call; null where nothing was. */
  take(): Evidence | null {
    const evidence = { full: this.#full, small: this.#small };
    this.#full = NOTHING;
    this.#small = NOTHING;
    return evidence.full.seconds + evidence.small.seconds > 0 ? evidence : null;
  }
}

/** The rate after `evidence`, in tokens a second; null as long as no batch was half full and nothing was known before. */
export function learnReplicaRate(known: number | null, { full, small }: Evidence): number | null {
  const rate = full.seconds > 0 && full.tokens > 0 ? approach(known, full) : known;
  const least = { tokens: small.tokens / LONE_GAIN, seconds: small.seconds };
  const higher = rate !== null && small.seconds > 0 && least.tokens / least.seconds > rate;
  return higher ? approach(rate, least) : rate;
}

function approach(known: number | null, { tokens, seconds }: Work): number {
  const seen = tokens / seconds;
  return known === null ? seen : known + (seen - known) * (1 - Math.exp(-seconds / LEARN_SECONDS));
}

function sum(a: Work, b: Work): Work {
  return { tokens: a.tokens + b.tokens, seconds: a.seconds + b.seconds };
}
