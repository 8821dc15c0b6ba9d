import { describe, expect, it } from 'vitest';
import { runSplitting } from './split.js';

const never = () => false;

describe('runSplitting', () => {
  it('isolates the items that fail: all others get their results, in order', async () => {
    const items = Array.from({ length: 64 }, (_, n) => n);
    const passes: number[] = [];
    const results = await runSplitting(
      items,
      async (part) => {
        passes.push(part.length);
        if (part.includes(37)) throw new Error('poison');
        return part.map((n) => n * 2);
      },
      never,
    );
    expect(results.filter((result) => result instanceof Error)).toHaveLength(1);
    expect(results[37]).toBeInstanceOf(Error);
    expect(results.filter((_, n) => n !== 37)).toEqual(items.filter((n) => n !== 37).map((n) => n * 2));
    // One failing and one passing half per level: 1 + 2 · log2(64).
    expect(passes).toHaveLength(13);
  });

  it('does not split where the error is of no item’s making', async () => {
    let passes = 0;
    const results = await runSplitting(
      [1, 2, 3],
      async () => {
        passes++;
        throw new Error('device lost');
      },
      () => true,
    );
    expect(passes).toBe(1);
    expect(results.every((result) => result instanceof Error)).toBe(true);
  });

  it('keeps an Error that stands in one item’s place', async () => {
    const results = await runSplitting([1, 2], async () => [new Error('mine'), 'fine'], never);
    expect(results[0]).toBeInstanceOf(Error);
    expect(results[1]).toBe('fine');
  });

  it('refuses a run that returns another number of results than it was given items', async () => {
    const results = await runSplitting([1], async () => ['a', 'b'], never);
    expect(results[0]).toMatchObject({ message: 'a run of 1 items returned 2 results' });
  });
});
