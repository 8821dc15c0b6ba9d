/** Rerankers and classifiers of tokens: small imported models of random weights, and their int8 variants. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importFolder } from '@shoal/importer';
import { type Model, openModel } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Context, Example, Examples } from '../types.js';
import { compare } from './compare.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
const WORDS = ['otter', 'fish', 'bread', 'gill', 'river', 'oven', 'salt', 'boat', 'tail', 'grain'];

let folder: string;
let runtime: Runtime;
let context: Context;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-tasks-'));
  runtime = await openRuntime();
  context = {
    ...{ runtime, now: () => 20 * performance.now(), random: seededRandom(1), signal: new AbortController().signal },
    ...{ say: () => {}, onProgress: () => {} },
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

/** In 32 bits, and in 8. */
async function imported(name: string): Promise<readonly [Model, Model]> {
  const request = {
    folder: join(FIXTURES, name),
    name,
    version: 1,
    dtypes: ['fp32', 'int8'],
    to: folder,
    force: false,
  };
  const { say, signal } = context;
  const [whole, narrow] = await openModel(dirname(await importFolder(request, { runtime, say, signal })));
  return [whole!, narrow!];
}

const examplesOf = (items: readonly Example[]): Examples => ({ kind: items[0]!.kind, items, labelled: false });
const textOf = (n: number) => [0, 1, 2, 3].map((place) => WORDS[(n * (place + 3) + place) % WORDS.length]!).join(' ');

test('a reranker: by grades, and by pairs among the documents of others', async () => {
  const [whole, narrow] = await imported('roberta-rerank');
  const rankings = examplesOf(
    Array.from({ length: 12 }, (_, n) => ({
      kind: 'ranking',
      query: textOf(n),
      documents: [2, 0, 1].map((grade) => ({ text: textOf(n + grade + 1), grade })),
    })),
  );
  const graded = await compare(whole, narrow, rankings, { speeds: false }, context);
  expect(graded.loss).toMatchObject({ metric: 'ndcg@10', texts: 12 });
  expect(graded.figures.MRR!.original).toBeGreaterThan(0);
  expect(graded.figures['rank correlation']!.candidate).toBeGreaterThan(0);
  const same = await compare(whole, whole, rankings, {}, context);
  expect(same.loss.mean).toBe(0);
  expect(same.figures['rank correlation']!.candidate).toBeCloseTo(1, 6);
  expect(same.speeds).toHaveLength(3);
  const pairs = examplesOf(
    Array.from({ length: 25 }, (_, n) => ({ kind: 'pair', query: textOf(n), document: `${textOf(n)} ${n}` })),
  );
  const paired = await compare(whole, narrow, pairs, { speeds: false }, context);
  expect(paired.loss).toMatchObject({ metric: 'ndcg@10', texts: 25 });
});

test('a classifier of tokens: by entities, and without any by those that the original finds', async () => {
  const [whole, narrow] = await imported('bert-tokens');
  const texts = Array.from({ length: 15 }, (_, n) => textOf(n));
  const label = whole.labels.find((name) => name.startsWith('B-'))?.slice(2) ?? whole.labels[1]!;
  const entities = examplesOf(
    texts.map((text) => ({ kind: 'entities', text, entities: [{ start: 0, end: text.indexOf(' '), label }] })),
  );
  const found = await compare(whole, narrow, entities, { speeds: false }, context);
  const { F1 } = found.figures;
  expect(found.loss.metric).toBe('f1');
  expect(found.loss.mean).toBeCloseTo(F1!.original! - F1!.candidate, 10);
  const unlabelled = examplesOf(texts.map((text) => ({ kind: 'text', text })));
  const own = await compare(whole, whole, unlabelled, { speeds: false }, context);
  expect(own.figures.F1).toEqual({ original: 1, candidate: 1 });
  expect(own.loss.mean).toBe(0);
});
