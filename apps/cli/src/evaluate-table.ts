/** What was measured of two models, as lines for people. */
import { basename } from 'node:path';
import { formatSelector, type SpeedRatio } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { Comparison, Data, Figure, Verdict } from '@shoal/optimizer';

export interface Compared {
  readonly original: Model;
  readonly candidate: Model;
  readonly data: Pick<Data, 'file'>;
  readonly comparison: Comparison;
  readonly verdict: Verdict;
}

export function comparisonLines({ original, candidate, data, comparison, verdict }: Compared): readonly string[] {
  const { loss, speeds, figures } = comparison;
  const texts = loss.texts.toLocaleString('en');
  const { mean, bound, metric } = loss;
  return [
    `${formatSelector(candidate)} beside ${formatSelector(original)}, by ${texts} examples of ${basename(data.file)}:`,
    '',
    ...table([['', 'original', 'candidate'], ...Object.entries(figures).map(rowOf)]),
    '',
    `loss (${metric}): ${percent(mean)}, at most ${percent(bound)} with 95 %`,
    ...speeds.map(speedLine),
    ...(verdict.kind === 'passed' ? ['passed'] : []),
  ];
}

function rowOf([title, { original, candidate }]: readonly [string, Figure]): readonly string[] {
  return [title, original === null ? '' : number(original), number(candidate)];
}

function speedLine({ batch, tokens, ratio, low, high }: SpeedRatio): string {
  const shape = `${batch} × ${tokens} tokens`;
  return `speed, ${shape}: ${ratio.toFixed(2)}× (${low.toFixed(2)} to ${high.toFixed(2)} with 95 %)`;
}

function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) < 0.001 ? value.toExponential(2) : value.toFixed(Math.abs(value) < 10 ? 5 : 3);
}

function percent(value: number): string {
  return `${(100 * value).toFixed(Math.abs(value) < 0.001 ? 3 : 2)} %`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, n) => Math.max(...rows.map((row) => row[n]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, n) => cell.padEnd(widths[n]!)).join(' | ')} |`;
  const [head, ...rest] = rows.map(line);
  return [head!, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest];
}
