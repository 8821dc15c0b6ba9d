/**
 * Measures what a micro-batch costs on this machine, and derives its limits. A single measurement is noise: other programs,
 * the caches and the clock of the processor move it by half. So all sizes take turns, round by round, the cheapest pass of
 * each size counts, and rounds go on until they agree.
 */

/** What one forward pass took. */
export interface PassCost {
  readonly elapsedMs: number;
  /**
   * What sizes are compared by: CPU time where that is what throughput is made of, since other programs hardly change it;
   * else the elapsed time.
   */
  readonly workMs: number;
}

export interface Measurement {
  /** Padded tokens of a micro-batch beyond which throughput hardly grows, or falls. */
  readonly maxBatchTokens: number;
  /** Fixed cost of a batch in tokens: what the best throughput does in the time of one short item, less its tokens. */
  readonly passTokens: number;
  /** Tokens per second of work with these limits, of one pass after the other. */
  readonly tokensPerSecond: number;
  readonly rounds: number;
  /** How far apart the two cheapest passes of a size were, at most: 0.01 is 1 %; 1 where there was one round. */
  readonly spread: number;
}

export interface CalibrateOptions {
  /** Runs one pass of `size` items of `length` tokens. */
  readonly pass: (size: number, length: number) => Promise<PassCost>;
  readonly maxBatchSize: number;
  readonly maxLength: number;
  /** No pass begins after this many ms of passes. */
  readonly budgetMs: number;
}

/**
 * What a micro-batch costs beside its forward pass, in ms of CPU time: fetching and claiming its chunks, two scripts, the
 * notification, in the worker and in Redis (docs/benchmarks.md). Small batches of small models are not worth it.
 */
export const BATCH_OVERHEAD_MS = 3;
/** Throughput within this share of the best is as good: the smaller batch answers sooner. */
const GOOD_ENOUGH = 0.985;
/** A longer batch makes everything behind it wait for little gain. */
const MAX_BATCH_MS = 200;
const MAX_TOKENS = 32_768;
/** Tokens of the two texts that batches are made of: what is best for one may be bad for the other. */
const [SHORT, LONG] = [16, 128];
/** Sizes that reach less of the best are left out once they were measured twice: a first pass may compile its kernels. */
const HOPELESS = 0.7;
/** Rounds in a row that have to come to the same limit. */
const AGREEING = 3;
const MAX_ROUNDS = 12;
/** Largest spread of rounds that agree. */
const STEADY = 0.03;

/** Batches of one size and length, as measured so far. */
interface Point {
  readonly size: number;
  readonly length: number;
  readonly tokens: number;
  /** Of the cheapest pass, and of the next. */
  workMs: number;
  nextWorkMs: number;
}

interface Choice {
  readonly tokens: number;
  /** Tokens per ms of work with the best limit. */
  readonly best: number;
  readonly spread: number;
  /** Measured for limits that may yet be found best. */
  readonly hopeful: ReadonlySet<Point>;
}

/**
 * Passes of growing size at a short and a long length. On a GPU throughput grows for long; on a CPU the best batch is small,
 * because the activations of a larger one no longer fit the caches.
 */
export async function calibrate({ pass, maxBatchSize, maxLength, budgetMs }: CalibrateOptions): Promise<Measurement> {
  const long = Math.max(1, Math.min(maxLength, LONG));
  let points = pointsOf([...new Set([Math.min(SHORT, long), long])], maxBatchSize);
  const [single] = points as [Point];
  let spent = 0;
  const measure = async (point: Point) => {
    const { elapsedMs, workMs } = await pass(point.size, point.length);
    spent += elapsedMs;
    point.nextWorkMs = Math.min(point.nextWorkMs, Math.max(point.workMs, workMs));
    point.workMs = Math.min(point.workMs, workMs);
  };
  await pass(1, single.length);
  const choices: Choice[] = [];
  for (let rounds = 1; ; rounds++) {
    for (const point of points) {
      if (!points.includes(point)) continue;
      if (spent < budgetMs || point === single) await measure(point);
      // Again, since the first pass of a shape may compile its kernels.
      if (rounds === 1 && isLong(point) && spent < budgetMs) await measure(point);
      // Twice as many take twice as long where passes are as long as this: they need not be tried.
      if (isLong(point)) points = points.filter(({ tokens }) => tokens <= point.tokens);
      if (point.size > 1 && point.workMs > MAX_BATCH_MS) points = points.filter(({ tokens }) => tokens < point.tokens);
    }
    points = points.filter(({ workMs }) => Number.isFinite(workMs));
    const choice = choose(points);
    choices.push(choice);
    const recent = choices.slice(-AGREEING);
    const agree = recent.length === AGREEING && recent.every(({ tokens }) => tokens === choice.tokens);
    if (spent < budgetMs && rounds < MAX_ROUNDS && !(agree && choice.spread <= STEADY)) {
      if (rounds > 1) points = points.filter((point) => point === single || choice.hopeful.has(point));
      continue;
    }
    return {
      // A batch of the longest single input must fit whatever was measured.
      maxBatchTokens: Math.max(choice.tokens, maxLength),
      passTokens: Math.max(1, Math.round(cost(single) * choice.best - single.tokens)),
      tokensPerSecond: Math.round(1000 * rateAt(points, choice.tokens)),
      rounds,
      spread: choice.spread,
    };
  }
}

/** Smallest first, so that a budget that is soon spent leaves the larger ones out. */
function pointsOf(lengths: readonly number[], maxBatchSize: number): Point[] {
  const points: Point[] = [];
  for (const length of lengths) {
    for (let size = 1; size <= maxBatchSize && size * length <= MAX_TOKENS; size *= 2) {
      const never = Number.POSITIVE_INFINITY;
      points.push({ size, length, tokens: size * length, workMs: never, nextWorkMs: never });
    }
  }
  return points.sort((a, b) => a.tokens - b.tokens);
}

function cost({ workMs }: Point): number {
  return workMs + BATCH_OVERHEAD_MS;
}

function isLong({ workMs }: Point): boolean {
  return workMs > MAX_BATCH_MS / 2;
}

/** The smallest limit that is as good as the best. */
function choose(points: readonly Point[]): Choice {
  const limits = [...new Set(points.map(({ tokens }) => tokens))];
  const rated = limits.map((tokens) => ({ tokens, rate: rateAt(points, tokens) }));
  const best = Math.max(...rated.map(({ rate }) => rate));
  // Of all sizes: one that came out too slow each time would not be among the best.
  const spreads = points.map((point) => (point.nextWorkMs - point.workMs) / cost(point));
  const reaching = (share: number) => rated.filter(({ rate }) => rate >= share * best).map(({ tokens }) => tokens);
  return {
    tokens: reaching(GOOD_ENOUGH)[0]!,
    best,
    spread: Math.min(1, Math.max(...spreads)),
    hopeful: new Set(reaching(HOPELESS).flatMap((tokens) => usedAt(points, tokens))),
  };
}

/** Tokens per ms of as many short as long texts. */
function rateAt(points: readonly Point[], limit: number): number {
  const used = usedAt(points, limit);
  return used.length / used.reduce((sum, point) => sum + cost(point) / point.tokens, 0);
}

/** Of each length the largest batches that `limit` allows: one item always runs. */
function usedAt(points: readonly Point[], limit: number): Point[] {
  const lengths = [...new Set(points.map(({ length }) => length))];
  return lengths.map((length) => {
    const own = points.filter((point) => point.length === length);
    return own.findLast(({ tokens }) => tokens <= limit) ?? own[0]!;
  });
}
