/** The report of an import measures what PyTorch measured, and lower precisions stay within what they promise. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportOn } from '@shoal/importer';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { FIXTURES, ImportBench } from '../support/importing.js';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
/** reference.json of the two models. */
const PERPLEXITY = { 'wordnet-lm': 10.5375, 'wordnet-lm-draft': 12.9864 };

let runtime: Runtime;
let bench: ImportBench;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  bench = new ImportBench(runtime);
});
afterEach(() => bench.remove());

/** Cells by variant and title, and what stands above the table. */
async function report(folder: string, source: string) {
  // A clock of its own: speeds are not what is tested.
  let now = 0;
  const context = { runtime, now: () => ++now, signal: new AbortController().signal };
  const lines = await reportOn({ folder, source }, context);
  const table = lines.filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1));
  const [titles = [], , ...rows] = table.map((cells) => cells.map((cell) => cell.trim()));
  return {
    about: lines[0],
    variants: rows.map(([variant]) => variant),
    cell: (variant: string, title: string) => {
      const cells = rows.find(([name]) => name === variant)!;
      return Number.parseFloat(cells[titles.indexOf(title)] ?? '');
    },
  };
}

test('perplexity at fp32 is PyTorch’s; at int8 0.5 % more at most, at int4 5 %', async () => {
  const source = bench.checkpoint('wordnet-lm-draft');
  const folder = await bench.take(source, { dtypes: ['int4', 'fp32', 'int8', 'int4-b128', 'int4-h8'] });
  const { about, variants, cell } = await report(folder, source);
  expect(about).toMatch(/measured on 400 texts of eval\.jsonl:$/);
  // Others are compared with fp32, whatever is served first.
  expect(variants[0]).toBe('fp32');
  const exact = PERPLEXITY['wordnet-lm-draft'];
  expect(cell('fp32', 'perplexity')).toBeCloseTo(exact, 2);
  expect(cell('int8', 'perplexity')).toBeLessThan(exact * 1.005);
  for (const variant of ['int4', 'int4-b128']) {
    expect(cell(variant, 'perplexity')).toBeGreaterThan(exact * 1.005);
    expect(cell(variant, 'perplexity')).toBeLessThan(exact * 1.05);
    expect(cell(variant, 'same token as fp32')).toBeGreaterThan(88);
  }
  // The head matters most.
  expect(cell('int4-h8', 'perplexity')).toBeLessThan(cell('int4', 'perplexity'));
  expect(cell('fp32', 'same token as fp32')).toBe(100);
  expect(cell('int4', 'MB')).toBeLessThan(cell('fp32', 'MB') * 0.4);
  expect(cell('int4', 'tokens/s')).toBeGreaterThan(0);
});

test('the bundled wordnet-lm is as good as in PyTorch, to 0.5 %', async () => {
  const { cell } = await report(join(MODELS, 'wordnet-lm', '1'), join(FIXTURES, 'checkpoints', 'wordnet-lm-draft'));
  expect(cell('int8', 'perplexity')).toBeLessThan(PERPLEXITY['wordnet-lm'] * 1.005);
});

test('classifiers are measured by accuracy, embeddings by recall', async () => {
  const topic = await report(join(MODELS, 'wordnet-topic', '1'), join(FIXTURES, 'wordnet-topic'));
  expect(topic.about).toMatch(/measured on 1390 labelled texts of eval\.jsonl:$/);
  expect(Math.abs(topic.cell('fp32', 'accuracy') - 78.7)).toBeLessThan(0.2);
  const embed = await report(join(MODELS, 'wordnet-embed', '1'), join(FIXTURES, 'wordnet-embed'));
  // PyTorch's 27.3 counts some documents once more than others (test/e2e/quality.spec.ts).
  expect(Math.abs(embed.cell('fp32', 'recall@10') - 26.85)).toBeLessThan(0.2);
});

test.each(['bert-classify', 'bert-tokens', 'roberta-rerank', 'mpnet'])(
  'without examples, %s is compared on texts that are built in',
  async (fixture) => {
    const source = bench.checkpoint(fixture);
    const folder = await bench.take(source, { dtypes: ['fp32', 'int8'] });
    const { about, cell } = await report(folder, source);
    expect(about).toMatch(/measured on 8 texts that are built in:$/);
    expect(cell('int8', 'cosine to fp32')).toBeGreaterThan(0.99);
    expect(cell('int8', 'cosine to fp32')).toBeLessThan(1);
    expect(cell('int8', 'texts/s')).toBeGreaterThan(0);
  },
);

test.each([
  ['{"text": "a"', 'line 1 is not valid JSON'],
  ['{"text": "a"}\n\n{"query": "b"}', 'every line must be'],
  ['\n', 'every line must be'],
])('examples that cannot be read are refused: %j', async (text, reason) => {
  writeFileSync(join(bench.folder(), 'eval.jsonl'), text);
  await expect(report(join(MODELS, 'wordnet-lm', '1'), bench.folder())).rejects.toThrow(reason);
});
