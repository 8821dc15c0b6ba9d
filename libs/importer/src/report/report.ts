/** `shoal import --report`: what each precision of a model costs in quality, and gains in size and speed. */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Model, openRepository } from '@shoal/models';
import { invalid } from '../invalid.js';
import { measureDecoder } from './decoder-report.js';
import { measureEncoder } from './encoder-report.js';
import { type Examples, readExamples } from './examples.js';
import type { Measured, ReportContext } from './types.js';

export interface ReportRequest {
  /** Of the version that was imported: `<models>/<name>/<version>`. */
  readonly folder: string;
  /** What it was imported from, which may hold `eval.jsonl`. */
  readonly source: string;
}

/**
 * A table as lines of Markdown: MB on disk, quality on the folder's examples, likeness to the first variant, and speed, all
 * variants in turn. Without examples a few built-in texts serve for likeness and speed.
 *
 * @throws ShoalError where the version or its examples cannot be read
 */
export async function reportOn({ folder, source }: ReportRequest, context: ReportContext): Promise<readonly string[]> {
  // Beside a GGUF file.
  const examples = readExamples(statSync(source).isFile() ? dirname(source) : source);
  const [name, version] = [basename(dirname(folder)), basename(folder)];
  const { models, problems } = await openRepository(dirname(dirname(folder)));
  const own = models.filter((model) => model.name === name && model.version === version);
  const [first] = own;
  if (first === undefined)
    throw invalid(
      problems.find((problem) => problem.folder === `${name}/${version}`)?.message ?? `${folder} is no model`,
    );
  const { variants, task } = first;
  // Tensors cannot be made up: what is left is the size.
  if (task === 'tensors')
    return table(
      own.map(({ variant }) => ({ variant, columns: {} })),
      variants,
    );
  const measure = task === 'text-generation' ? measureDecoder : measureEncoder;
  const rows = await measure(wholeFirst(own), examples, context);
  return [about(examples, folder), ...table(rows, variants)];
}

/** Others are compared with the first: fp32 where it is there. */
function wholeFirst(all: readonly Model[]): readonly Model[] {
  return [...all].sort((a, b) => Number(b.variant === 'fp32') - Number(a.variant === 'fp32'));
}

function about(examples: Examples, folder: string): string {
  const what = { labelled: 'labelled texts', pairs: 'pairs', texts: 'texts' }[examples.kind];
  const from = examples.kind === 'texts' && examples.builtIn ? 'that are built in' : 'of eval.jsonl';
  return `${folder}, measured on ${examples.items.length} ${what} ${from}:`;
}

function table(rows: readonly Measured[], variants: Readonly<Record<string, string>>): string[] {
  const titles = ['MB', ...new Set(rows.flatMap(({ columns }) => Object.keys(columns)))];
  const cells = rows.map(({ variant, columns }) => {
    const all: Record<string, string> = { MB: megabytesOf(variants[variant]!), ...columns };
    return [variant, ...titles.map((title) => all[title] ?? '')];
  });
  const lines = [['variant', ...titles], ...cells];
  const widths = lines[0]!.map((_, n) => Math.max(...lines.map((line) => line[n]!.length)));
  const row = (line: readonly string[]) => `| ${line.map((cell, n) => cell.padEnd(widths[n]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [head = [], ...rest] = lines;
  return [row(head), rule, ...rest.map(row)];
}

/** With the file beside it that holds its weights, where it has one. */
function megabytesOf(path: string): string {
  const bytes = statSync(path).size + (statSync(`${path}.data`, { throwIfNoEntry: false })?.size ?? 0);
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);
}
