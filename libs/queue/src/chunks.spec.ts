import type { WireItem } from '@shoal/contracts';
import { describe, expect, it } from 'vitest';
import { byLength, cutSlices, formChunks, MAX_CHUNK_ITEMS, type PlacedSlice } from './chunks.js';

const items = (count: number): WireItem[] =>
  Array.from({ length: count }, () => ({ kind: 'text', ids: new Uint32Array(1) }));

function slice(ulid: string, more: Partial<PlacedSlice> = {}): PlacedSlice {
  return {
    ulid,
    slice: 0,
    tenant: 'tenant',
    rank: 1,
    count: 1,
    tokens: 10,
    tag: 1,
    priority: 1,
    alone: false,
    overtaken: 0,
    ...more,
  };
}

describe('byLength', () => {
  it('numbers items by length and keeps the order of equals', () => {
    expect(byLength([5, 1, 5, 3])).toEqual([1, 3, 0, 2]);
  });
});

describe('cutSlices', () => {
  it('holds every item once, within the limits', () => {
    const lengths = Array.from({ length: 100 }, (_, n) => n + 1);
    const slices = cutSlices(items(100), lengths, 200);
    expect(slices.flatMap((s) => s.lengths)).toEqual(lengths);
    expect(slices.map((s) => s.first)).toEqual(slices.map((_, n) => slices.slice(0, n).flatMap((s) => s.items).length));
    for (const s of slices) {
      expect(s.items.length).toBeLessThanOrEqual(MAX_CHUNK_ITEMS);
      expect(s.tokens).toBe(s.lengths.reduce((a, b) => a + b, 0));
      if (s.items.length > 1) expect(s.tokens).toBeLessThanOrEqual(200);
    }
  });

  it('lets an item that is longer than the limit travel alone', () => {
    expect(cutSlices(items(3), [10, 500, 500], 100).map((s) => s.lengths)).toEqual([[10], [500], [500]]);
  });
});

describe('formChunks', () => {
  it('joins single jobs of one tenant and rank and never those of two', () => {
    const chunks = formChunks([slice('a'), slice('b', { tenant: 'x' }), slice('c'), slice('d', { rank: 2 })], 1000);
    expect(chunks.map(({ chunk }) => chunk.slices.map(([ulid]) => ulid)).sort()).toEqual([['a', 'c'], ['b'], ['d']]);
  });

  it('keeps a chunk within half a micro-batch, whatever is joined', () => {
    const chunks = formChunks(
      [slice('a', { tokens: 60 }), slice('b', { tokens: 60 }), slice('c', { tokens: 30 })],
      100,
    );
    expect(chunks.map(({ chunk }) => chunk.slices.map(([ulid]) => ulid))).toEqual([['c', 'a'], ['b']]);
  });

  it('gives a chunk the first place of its slices in the fair order', () => {
    const [chunk] = formChunks([slice('a', { tag: 90, priority: 9 }), slice('b', { tag: 30, priority: 3 })], 1000);
    expect(chunk).toMatchObject({ chunk: { tag: 30 }, priority: 3 });
  });

  it('tells of lower ranks how much had overtaken them, and of the best nothing', () => {
    const chunks = formChunks(
      [slice('a'), slice('b', { rank: 2, overtaken: 70 }), slice('c', { rank: 2, overtaken: 50 })],
      1000,
    );
    expect(chunks.map(({ chunk }) => chunk.turn)).toEqual([undefined, { tenant: 'tenant', rank: 2, overtaken: 50 }]);
  });
});
