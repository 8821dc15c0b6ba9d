/**
 * How much faster a candidate is than the original: they take turns on one machine, and the median of the ratios of neighbours
 * counts. Whatever else the machine does falls on both alike, and the slow rounds that it makes are outvoted.
 */
import { median } from '../tune/median-interval.js';

/** A timing is of so many passes that the clock and one interruption do not decide it. */
const TIMED_MS = 20;
const MOST_PASSES = 10_000;
/** Until memory is there, plans are made and V8 has compiled: passes before any is timed, and for how long at least. */
const [WARM_PASSES, WARM_MS] = [3, 100];
/** Up to this factor between the two, a timing takes as many passes of one as of the other. */
const NEIGHBOURS = 4;
/**
 * Rounds after which it is looked whether they suffice. Who looks again and again, and stops at a narrow interval, stops at one
 * that is narrow by chance: each look has its share of the error.
 */
const LOOKS = [15, 31, 61, 121] as const;
const MOST_ROUNDS = 121;
/** Interval's upper end by its lower one, less 1: fine enough to choose by. */
const FINE = 0.02;
const MOST_MS = 10_000;

export interface SpeedRun {
  /** One pass of each, of the same work. */
  readonly original: () => Promise<unknown>;
  readonly candidate: () => Promise<unknown>;
}

export interface SpeedContext {
  /** In ms. */
  readonly now: () => number;
  /** What passes are timed by, in ms; default `now`. */
  readonly clock?: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/** Above 1: faster than the original. */
export interface MeasuredSpeed {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

/**
 * The median of ratios and an interval that holds it with a probability of `confidence` whatever the distribution of noise: it
 * lies between two order statistics (Hahn and Meeker 1991, chapter 5), further apart than for one look. Each round times both,
 * in random order. Rounds end when the interval is fine, which is no question of where it lies, or after 121 of them, or
 * after 10 s with 15.
 *
 * @throws the signal's reason
 */
export async function measureSpeed(run: SpeedRun, context: SpeedContext, confidence = 0.95): Promise<MeasuredSpeed> {
  const { now, clock = now, random, signal } = context;
  const started = now();
  const passes = passesOf(await warmUp(run.original, context), await warmUp(run.candidate, context));
  const time = async (which: 'original' | 'candidate') => {
    signal.throwIfAborted();
    const start = clock();
    for (let n = 0; n < passes[which]; n++) await run[which]();
    return (clock() - start) / passes[which];
  };
  const ratios: number[] = [];
  for (;;) {
    const originalFirst = random() < 0.5;
    const first = await time(originalFirst ? 'original' : 'candidate');
    const second = await time(originalFirst ? 'candidate' : 'original');
    ratios.push(originalFirst ? first / second : second / first);
    const late = ratios.length >= MOST_ROUNDS || (now() - started >= MOST_MS && ratios.length >= LOOKS[0]);
    if (!late && !LOOKS.some((rounds) => rounds === ratios.length)) continue;
    const found = medianWithin(ratios, 1 - (1 - confidence) / LOOKS.length);
    if (late || found.high / found.low - 1 <= FINE) return { ...found, rounds: ratios.length };
  }
}

/**
 * Passes that a timing of each takes. Of neighbours the same number: the mean of many passes is likelier to have an interruption
 * in it than that of few, and its median another one.
 */
function passesOf(original: number, candidate: number) {
  const most = Math.max(original, candidate);
  return most <= NEIGHBOURS * Math.min(original, candidate)
    ? { original: most, candidate: most }
    : { original, candidate };
}

/** Passes that take long enough together. */
async function warmUp(pass: () => Promise<unknown>, { now, clock = now, signal }: SpeedContext): Promise<number> {
  const started = now();
  let quickest = Number.POSITIVE_INFINITY;
  for (let n = 0; n < WARM_PASSES || (now() - started < WARM_MS && n < MOST_PASSES); n++) {
    signal.throwIfAborted();
    const start = clock();
    await pass();
    quickest = Math.min(quickest, clock() - start);
  }
  return quickest <= 0 ? MOST_PASSES : Math.min(MOST_PASSES, Math.ceil(TIMED_MS / quickest));
}

/**
 * The median of `values` and the closest order statistics that hold that of their distribution with a probability of
 * `confidence`; the outermost where there are too few values for it.
 */
export function medianWithin(
  values: readonly number[],
  confidence: number,
): { readonly ratio: number; readonly low: number; readonly high: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  // The number of values under the median is binomial with 1/2; `rank` of them at each end may be left out.
  let rank = 0;
  let probability = 0.5 ** count;
  for (let below = probability; below <= (1 - confidence) / 2; below += probability) {
    rank += 1;
    probability *= (count - rank + 1) / rank;
  }
  const outer = Math.max(0, rank - 1);
  return { ratio: median(sorted), low: sorted[outer]!, high: sorted[count - 1 - outer]! };
}
