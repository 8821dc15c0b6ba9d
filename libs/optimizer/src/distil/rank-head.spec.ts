import type { TextItem } from '@shoal/contracts';
import { ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { largestDifference, ModelCopy, pass } from '../testing/model-copy.js';
import { rankGraph } from './rank-graph.js';
import { fitRankHead, linear, pairFeatures, sidesOf } from './rank-head.js';
import { wordTable } from './word-table.js';

const VOCABULARY = 6000;
const SEPARATOR = 3;

let runtime: Runtime;
let copy: ModelCopy;
let original: Model;
beforeAll(async () => {
  runtime = await openRuntime();
  copy = new ModelCopy('wordnet-topic');
  original = await copy.model();
});
afterAll(() => copy.remove());

const words = (n: number, count: number) =>
  Array.from({ length: count }, (_, i) => 100 + ((37 * n + 211 * i * i) % 5000));
/** Every other document has the query's first words. */
const PAIRS = Array.from({ length: 120 }, (_, n) => {
  const query = words(n, 4);
  return [
    2,
    ...query,
    SEPARATOR,
    ...(n % 2 === 0 ? query.slice(0, 3) : []),
    ...words(n + 1000, 3 + (n % 5)),
    SEPARATOR,
  ];
});
const items: readonly TextItem[] = PAIRS.map((ids) => ({ kind: 'text', ids: Uint32Array.from(ids) }));
const scores = Float64Array.from(PAIRS, (_, n) => (n % 2 === 0 ? 4 : -4));

let state = 7;
const random = () => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state / 2 ** 31;
};

describe('a static ranker', () => {
  test('learns what a teacher’s scores depend on, and scores in the graph as in the fit', async () => {
    const table = wordTable(copy.pathOf('fp32'), VOCABULARY)!;
    expect(table.width).toBe(192);
    const head = fitRankHead(items, scores, table, VOCABULARY, random);
    expect(head.separator).toBe(SEPARATOR);
    const fitted = items.map(({ ids }) => linear(head, pairFeatures(head, ids)));
    expect(fitted.filter((score, n) => score > 0 === scores[n]! > 0).length).toBeGreaterThan(115);
    const { logits } = await pass(runtime, rankGraph(original, head), PAIRS);
    // Rows of 8-bit integers.
    expect(largestDifference(logits!, fitted)).toBeLessThan(0.15);
    for (const n of [0, 7, 33]) {
      const alone = (await pass(runtime, rankGraph(original, head), [PAIRS[n]!], { padId: 9 })).logits!;
      expect(largestDifference(alone, [logits![n]!])).toBeLessThan(1e-5);
    }
  });

  test('tells a query from its document by the first separator', () => {
    const ids = Uint32Array.of(0, 5, 6, 2, 2, 7, 8, 2);
    expect(sidesOf(ids, 2)).toEqual({ query: Uint32Array.of(0, 5, 6), document: Uint32Array.of(7, 8) });
  });

  test('refuses pairs that no token keeps apart', () => {
    const joined: readonly TextItem[] = PAIRS.map((ids) => ({
      kind: 'text',
      ids: Uint32Array.from([...ids.slice(0, 5), ...ids.slice(6)]),
    }));
    const table = wordTable(copy.pathOf('fp32'), VOCABULARY)!;
    expect(() => fitRankHead(joined, scores, table, VOCABULARY, random)).toThrow(ShoalError);
  });
});

test('a graph without a table of that many tokens has none', () => {
  expect(wordTable(copy.pathOf('fp32'), 5999)).toBeNull();
});
