/** Figures of a run, for people. */
import type { LossMetric, SpeedRatio } from '@shoal/contracts';
import type { Comparison } from '../types.js';
import type { Outcome, RunState } from './types.js';

/** Of fields that nothing is read from. */
const MOST_NAMES = 8;

export const OUTCOMES: Readonly<Record<Outcome, string>> = {
  waiting: 'waiting',
  finalist: 'waiting for its verdict',
  passed: 'passed',
  forced: 'kept by force',
  refused: 'refused',
  outdone: 'outdone',
  failed: 'failed',
  crashed: 'crashed',
  left_out: 'left out',
  taken: 'left out',
};

/** `0.40 %`: all metrics are shares, or close to. */
export function lossOf(share: number): string {
  return `${(100 * share).toFixed(Math.abs(share) < 0.001 && share !== 0 ? 3 : 2)} %`;
}

/** `0.10 % (≤ 0.40 %)`: mean and bound. */
export function lossWords({ mean, bound }: Pick<Comparison['loss'], 'mean' | 'bound'>): string {
  return `${lossOf(mean)} (≤ ${lossOf(bound)})`;
}

/** What the loss is one of, and what of the file has no part in it: names alone. */
export function judgedBy({ metric, data: { what, unused } }: Pick<RunState, 'metric' | 'data'>): string {
  const names =
    unused.length <= MOST_NAMES ? unused.join(', ') : `${unused.slice(0, MOST_NAMES).join(', ')} and others`;
  if (metric === 'agreement' && what === 'texts') {
    const has = unused.length === 0 ? '' : ` (it has text, ${names})`;
    return `No label column${has}: judged by agreement with the original.`;
  }
  const beside: Partial<Record<LossMetric, string>> = {
    agreement: ' with the original',
    cosine: " to the original's vectors",
  };
  return `Judged by ${metric}${beside[metric] ?? ''}${unused.length === 0 ? '' : `; not used: ${names}`}.`;
}

/** What choices rest on, where that is not what one would think. */
export function basis({ metric, choosing }: Pick<RunState, 'metric' | 'choosing'>): readonly string[] {
  // As choosingMetric has it.
  if (metric !== 'recall@10' || choosing === metric) return [];
  return [`Choices are made by ${choosing}: of so few pairs ${metric} finds nearly all, whatever a model does.`];
}

/** What the verdict's texts have judged before this command. */
export function usedWords({ verdicts }: RunState['spent']): readonly string[] {
  if (verdicts === 0) return [];
  const given = verdicts === 1 ? '1 verdict was' : `${verdicts.toLocaleString('en')} verdicts were`;
  return [`${given} given by these texts before; a new candidate needs more texts for the same certainty.`];
}

/** `1.52× (1.48 to 1.55)` */
export function speedWords({ ratio, low, high }: SpeedRatio): string {
  return `${ratio.toFixed(2)}× (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

/** What the speeds of a column are of: `1 text`, `32 texts`. */
export function shapeWords({ batch }: Pick<SpeedRatio, 'batch'>): string {
  return batch === 1 ? '1 text' : `${batch} texts`;
}

export function durationOf(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function figureWords(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) < 0.001 ? value.toExponential(2) : value.toFixed(Math.abs(value) < 10 ? 4 : 2);
}
