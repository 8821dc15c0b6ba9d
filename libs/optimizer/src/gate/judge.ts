/** What passes: a candidate that was shown to be faster, and to lose no more than was allowed. */
import { ShoalError, type SpeedRatio } from '@shoal/contracts';
import { PARTS } from '../data/parts.js';
import type { Allowed, Comparison, Verdict } from '../types.js';
import { ALPHA } from './bound.js';

/**
 * The lower end of a speed interval has to be above it. A model beside itself can seem faster by a per cent or so for as long as a
 * process lives, by where its weights came to lie in memory, and no number of rounds tells that apart from being faster.
 */
export const LEAST_GAIN = 1.02;

/** Normal quantile of 80 %, the chance that a sample of the size that is told suffices. */
const LIKELY = 0.842;
/** More than a file may have. */
const MOST_TEXTS = 1_000_000;

/**
 * By non-inferiority: the upper bound of the loss, not its mean, has to be allowed. Worse: the mean is above what is allowed, and
 * more texts would not help. Not faster: at none of the shapes that it is served with. Too few: the mean is allowed, its
 * bound is not yet.
 *
 * @param alpha how often the bound may be below the loss, as it was measured with
 * @throws ShoalError `invalid_request` where the loss was measured by another metric than is asked for
 */
export function judge({ loss, speeds }: Comparison, allowed: Allowed, alpha = ALPHA): Verdict {
  const { metric, mean, bound, texts } = loss;
  if (allowed.metric !== undefined && allowed.metric !== metric) {
    throw new ShoalError('invalid_request', `the loss was measured as ${metric}, and ${allowed.metric} was asked for`);
  }
  const measured = `${metric}: a loss of ${percent(mean)}, at most ${percent(bound)} over texts like these`;
  if (mean > allowed.loss) {
    return { kind: 'worse', reason: `${measured}; ${percent(allowed.loss)} is allowed` };
  }
  const within = bound <= allowed.loss;
  if (speeds.length > 0 && !speeds.some(({ low }) => low > LEAST_GAIN)) {
    return { kind: 'not_faster', reason: notFaster(speeds) };
  }
  if (within) return { kind: 'passed' };
  const needed = textsNeeded({ mean, bound, texts }, allowed.loss, alpha);
  const reason = `${measured}, by ${texts.toLocaleString('en')} texts; ${percent(allowed.loss)} is allowed`;
  if (needed === undefined) return { kind: 'too_few', reason: `${reason}: too near for any number of texts to tell` };
  const file = `in a file of about ${rounded(needed / PARTS.verdict)}`;
  return { kind: 'too_few', reason: `too few texts: ${reason}: about ${rounded(needed)} are needed, ${file}`, needed };
}

/**
 * Texts of which the bound would be allowed, if the loss is what it seems, four times of five. The margin between mean and bound
 * shrinks with the root of the number of texts; that of none lost, with the number itself. Undefined: none would do.
 */
function textsNeeded(
  { mean, bound, texts }: Pick<Comparison['loss'], 'mean' | 'bound' | 'texts'>,
  allowed: number,
  alpha: number,
): number | undefined {
  const room = allowed - mean;
  if (room <= 0) return undefined;
  // As boundOf has it of texts without a single loss: 3 / texts at 5 %.
  const noneLost = mean === 0 && bound * texts <= -Math.log(alpha) + 1e-6;
  const margin = (bound - mean) * (1 + LIKELY / quantileAbove(alpha));
  const needed = Math.ceil(noneLost ? (bound * texts) / allowed : texts * (margin / room) ** 2);
  return needed <= MOST_TEXTS ? Math.max(texts + 1, needed) : undefined;
}

/** That normal numbers are above with this chance, of at most 0.5; by 0.003 (Abramowitz and Stegun 1964, 26.2.22). */
function quantileAbove(chance: number): number {
  const t = Math.sqrt(-2 * Math.log(chance));
  return t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t);
}

function notFaster(speeds: readonly SpeedRatio[]): string {
  const best = speeds.reduce((a, b) => (b.low > a.low ? b : a));
  const shape = best.batch === 1 ? '1 text' : `${best.batch} texts`;
  const ratios = `${times(best.ratio)} the original's speed (${times(best.low)} to ${times(best.high)}) for ${shape}`;
  const wide = best.ratio > LEAST_GAIN ? '; a quieter machine may tell more' : '';
  return `not faster: at best ${ratios}, and ${times(LEAST_GAIN)} has to be sure${wide}`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`;
}

/** All metrics are shares, or close to: 0.01 of a logarithm of perplexities is one per cent. */
function percent(value: number): string {
  return `${(100 * value).toFixed(Math.abs(value) < 0.001 ? 3 : 2)} %`;
}

/** To two digits: it is an estimate. */
function rounded(count: number): string {
  return Number(count.toPrecision(2)).toLocaleString('en');
}
