/** What passes: a candidate that was shown to be faster, and to lose no more than was allowed. */
import { ShoalError, type SpeedRatio } from '@shoal/contracts';
import type { Allowed, Comparison, Verdict } from '../types.js';

/**
 * The lower end of a speed interval has to be above it. A model beside itself can seem faster by a per cent or so for as long as a
 * process lives, by where its weights came to lie in memory, and no number of rounds tells that apart from being faster.
 */
export const LEAST_GAIN = 1.02;

/** Normal quantiles: of the bound's 95 %, and of 80 %, the chance that a sample of the size that is told suffices. */
const [SURE, LIKELY] = [1.645, 0.842];
/** More than a file may have. */
const MOST_TEXTS = 1_000_000;
/** As boundOf has it of texts without a single loss. */
const RULE_OF_THREE = -Math.log(0.05);

/**
 * By non-inferiority: the upper bound of the loss, not its mean, has to be allowed. Worse: the mean is above what is allowed, and
 * more texts would not help. Not faster: at none of the shapes that it is served with. Too few: the mean is allowed, its
 * bound is not yet.
 *
 * @throws ShoalError `invalid_request` where the loss was measured by another metric than is asked for
 */
export function judge({ loss, speeds }: Comparison, allowed: Allowed): Verdict {
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
  const needed = textsNeeded({ mean, bound, texts }, allowed.loss);
  const reason = `${measured}, by ${texts.toLocaleString('en')} texts; ${percent(allowed.loss)} is allowed`;
  if (needed === undefined) return { kind: 'too_few', reason: `${reason}: too near for any number of texts to tell` };
  return { kind: 'too_few', reason: `too few texts: ${reason}: about ${rounded(needed)} are needed`, needed };
}

/**
 * Texts of which the bound would be allowed, if the loss is what it seems, four times of five. The margin between mean and bound
 * shrinks with the root of the number of texts; that of none lost, with the number itself. Undefined: none would do.
 */
function textsNeeded(
  { mean, bound, texts }: Pick<Comparison['loss'], 'mean' | 'bound' | 'texts'>,
  allowed: number,
): number | undefined {
  const room = allowed - mean;
  if (room <= 0) return undefined;
  const noneLost = mean === 0 && bound * texts <= RULE_OF_THREE + 1e-6;
  const margin = (bound - mean) * (1 + LIKELY / SURE);
  const needed = Math.ceil(noneLost ? RULE_OF_THREE / allowed : texts * (margin / room) ** 2);
  return needed <= MOST_TEXTS ? Math.max(texts + 1, needed) : undefined;
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
