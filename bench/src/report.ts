/** What was measured, as Markdown for readers and JSON for programs: ratios first. */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Measure } from './measure.js';
import { ROOT } from './root.js';
import { cpuRatio, type Spread, speedRatio, spread } from './rounds.js';

/** Shoal beside a peer. */
export interface RatioRow {
  readonly requirement: string;
  readonly what: string;
  readonly speed: Spread;
  readonly cpu: Spread;
  /** Undefined where the row stands only for information. */
  readonly target?: number;
}

/** An absolute figure: what this machine did in that hour. */
export interface FigureRow {
  readonly requirement: string;
  readonly what: string;
  readonly value: Spread;
  readonly unit: string;
}

export interface Section {
  readonly ratios: readonly RatioRow[];
  readonly figures: readonly FigureRow[];
  /** Whole tables of its own, as lines of Markdown. */
  readonly tables?: readonly string[];
  /** Settings that the section chose by measuring, and what else a reader must know. */
  readonly notes: readonly string[];
}

export function ratioRow(
  requirement: string,
  what: string,
  of: readonly Measure[],
  to: readonly Measure[],
  target?: number,
): RatioRow {
  const row = { requirement, what, speed: speedRatio(of, to), cpu: cpuRatio(of, to) };
  return target === undefined ? row : { ...row, target };
}

/** Of latencies, which have no CPU time: one ratio a round. */
export function latencyRow(requirement: string, what: string, ratios: readonly number[], target: number): RatioRow {
  return { requirement, what, speed: spread(ratios), cpu: spread([Number.NaN]), target };
}

export function figureRow(requirement: string, what: string, values: readonly number[], unit: string): FigureRow {
  return { requirement, what, value: spread(values), unit };
}

export function rateRow(requirement: string, what: string, measures: readonly Measure[], unit = 'items/s'): FigureRow {
  return { requirement, what, value: spread(measures.map(({ rate }) => rate)), unit };
}

export async function writeReport(sections: readonly Section[], rounds: number): Promise<string> {
  const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const report = { date: new Date().toISOString(), machine, node: process.version, rounds, sections };
  const file = join(ROOT, '.shoal/bench/report.json');
  await mkdir(join(ROOT, '.shoal/bench'), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  return [
    `${report.date.slice(0, 10)}, ${machine}, Node ${process.version}, medians of at most ${rounds} rounds (lowest to highest)`,
    '',
    ...table(
      ['', 'Shoal ÷ peer', 'ratio', 'target', '', 'by CPU time'],
      sections.flatMap(({ ratios }) => ratios).map(ratioCells),
    ),
    '',
    ...table(['', 'figure', 'value', 'unit'], sections.flatMap(({ figures }) => figures).map(figureCells)),
    '',
    ...sections.flatMap(({ tables = [] }) => tables),
    ...sections.flatMap(({ notes }) => notes).map((note) => `- ${note}`),
  ].join('\n');
}

function ratioCells({ requirement, what, speed, cpu, target }: RatioRow): string[] {
  const met = target === undefined ? '' : speed.median >= target ? 'met' : '**not met**';
  const wanted = target === undefined ? '' : `≥ ${target.toFixed(2)}`;
  return [requirement, what, shown(speed), wanted, met, shown(cpu)];
}

function figureCells({ requirement, what, value, unit }: FigureRow): string[] {
  return [requirement, what, shown(value), unit];
}

function shown({ median, lowest, highest }: Spread): string {
  if (Number.isNaN(median)) return '–';
  return `${number(median)} (${number(lowest)} to ${number(highest)})`;
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
