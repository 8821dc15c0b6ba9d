/** The plan of a run, for people. */
import { sizeOf } from '@shoal/contracts';
import { markdownTable } from '../report/markdown.js';
import type { DataWords, RunState } from '../report/types.js';
import { basis, durationOf, judgedBy, lossOf, usedWords } from '../report/words.js';
import type { Candidate } from '../types.js';

export interface PlannedTime {
  readonly candidate: Candidate;
  /** In seconds; 0 where the journal has it. */
  readonly make: number;
  readonly measure: number;
}

export interface PlannedTotals {
  /** Seconds that all verdicts together take. */
  readonly verdicts: number;
  /** At most so many, with their verdicts. */
  readonly stacks: { readonly count: number; readonly seconds: number };
  /** Of the run, in seconds. */
  readonly limit: number;
}

export function planLines(
  state: RunState,
  times: readonly PlannedTime[],
  { verdicts, stacks, limit }: PlannedTotals,
): readonly string[] {
  const { model, original, data, allowed, impossible } = state;
  const total = times.reduce((sum, { make, measure }) => sum + make + measure, 0) + verdicts;
  const rows = times.map(({ candidate, make, measure }) => [
    ...[candidate.variant, candidate.method, timeOf(make), timeOf(measure)],
  ]);
  return [
    `${model}, beside its variant ${original.variant} (${sizeOf(original.bytes)}); a loss of ${lossOf(allowed)} is allowed.`,
    dataLine(data),
    judgedBy(state),
    ...basis(state),
    // Where all is known nothing is used up.
    ...(total === 0 ? [] : usedWords(state.spent)),
    ...markdownTable(['variant', 'method', 'to make', 'to measure'], rows),
    ...impossible.map(({ method, why }) => `${method}: ${why}.`),
    `About ${durationOf(total)} with verdicts, of ${durationOf(limit)}${total > limit ? '; what does not fit is left out, the last first' : ''}.`,
    ...stackLine(stacks),
  ];
}

function stackLine({ count, seconds }: PlannedTotals['stacks']): readonly string[] {
  if (count === 0) return [];
  const most = `at most ${count} ${count === 1 ? 'stack' : 'stacks'}`;
  return [`Then ${most} of those that lose no more than is allowed: up to ${durationOf(seconds)} more.`];
}

function dataLine({ file, what, calibration, choice, verdict }: DataWords): string {
  const [learn, choose, judge] = [calibration, choice, verdict].map((count) => count.toLocaleString('en'));
  return `${file}: ${learn} ${what} to learn from, ${choose} to choose by, ${judge} for the verdict.`;
}

function timeOf(seconds: number): string {
  return seconds === 0 ? 'done' : durationOf(seconds);
}
