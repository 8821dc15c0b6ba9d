import { describe, expect, it } from 'vitest';
import { type BatchLimits, type Candidate, paddedShare, reachedWith, selectBatch } from './policy.js';

const limits: BatchLimits = { maxBatchSize: 8, maxBatchTokens: 1000, maxDelayMs: 5, passTokens: 10_000 };

function item(length: number, order: number, more: Partial<Candidate> = {}): Candidate {
  return { length, order, group: '', alone: false, ...more };
}

const lengths = (items: readonly Candidate[]) => items.map(({ length }) => length);

describe('selectBatch', () => {
  it('always takes the item that is first in the fair order, however long it is', () => {
    const waiting = [item(8, 2), item(5000, 1), item(8, 3)];
    expect(lengths(selectBatch(waiting, limits).items)).toEqual([5000]);
  });

  it('takes the one that arrived first where two have the same place in the fair order', () => {
    const [first, second] = [item(20, 1), item(10, 1)];
    expect(selectBatch([first, second], { ...limits, maxBatchSize: 1 }).items).toEqual([first]);
  });

  it('fills up with the neighbours by length of the first item', () => {
    const waiting = [item(60, 1), item(10, 2), item(58, 3), item(100, 4), item(62, 5), item(12, 6)];
    const { items, full } = selectBatch(waiting, { ...limits, maxBatchSize: 3 });
    expect(lengths(items)).toEqual([58, 60, 62]);
    expect(full).toBe('size');
  });

  it('takes those that are equally long in the fair order, also where the first item is longer', () => {
    const waiting = [item(9, 4), item(10, 1), item(9, 2), item(9, 3), item(10, 6), item(10, 5)];
    const chosen = (maxBatchSize: number) =>
      selectBatch(waiting, { ...limits, maxBatchSize })
        .items.map(({ order }) => order)
        .sort();
    expect(chosen(2)).toEqual([1, 5]);
    expect(chosen(4)).toEqual([1, 2, 5, 6]);
  });

  it('counts padding in the token limit', () => {
    const waiting = [item(100, 1), item(10, 2), item(10, 3), item(10, 4)];
    const { items, full } = selectBatch(waiting, { ...limits, maxBatchTokens: 300 });
    expect(items).toHaveLength(3);
    expect(full).toBe('tokens');
  });

  it('pads as long as all padding of the batch costs less than another batch', () => {
    const joined = [item(10, 1), item(40, 2), item(40, 3), item(40, 4)];
    expect(selectBatch(joined, { ...limits, passTokens: 50 }).items).toHaveLength(4);
    const apart = [item(10, 1), item(10, 2), item(100, 3)];
    const { items, full } = selectBatch(apart, { ...limits, passTokens: 50 });
    expect(lengths(items)).toEqual([10, 10]);
    expect(full).toBeNull();
  });

  it('never mixes groups', () => {
    const waiting = [item(10, 1, { group: 'a' }), item(10, 2, { group: 'b' }), item(10, 3, { group: 'a' })];
    expect(selectBatch(waiting, limits).items.map(({ group }) => group)).toEqual(['a', 'a']);
  });

  it('runs a suspect by itself, and keeps it out of the batches of others', () => {
    const suspect = item(10, 1, { alone: true });
    const others = [item(10, 2), item(10, 3)];
    expect(selectBatch([suspect, ...others], limits)).toEqual({ items: [suspect], full: 'alone' });
    expect(selectBatch([...others, { ...suspect, order: 9 }], limits).items).toEqual(others);
  });
});

describe('paddedShare', () => {
  it('is the share of tokens that are padding', () => {
    expect(paddedShare([10, 5])).toBeCloseTo(0.25);
    expect(paddedShare([7])).toBe(0);
    expect(paddedShare([0, 0])).toBe(0);
  });
});

describe('reachedWith', () => {
  it('is the last of a batch in the fair order, but nothing that still waits is behind it', () => {
    const batch = [item(10, 1), item(10, 5)];
    expect(reachedWith(batch, [])).toBe(5);
    expect(reachedWith(batch, [item(80, 3), item(80, 9)])).toBe(3);
    expect(reachedWith(batch, [item(80, 9)])).toBe(5);
  });
});
