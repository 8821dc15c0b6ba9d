import { describe, expect, it } from 'vitest';
import { ByteBudget } from './byte-budget.js';

/** Reads that end when they are told to. */
function openReads(budget: ByteBudget) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const read = (name: string, tenant: string, bytes: number) =>
    budget.spend(tenant, bytes, () => {
      started.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const end = async (name: string, reads: Promise<void>) => {
    ends.get(name)!();
    await reads;
  };
  return { started, read, end };
}

describe('ByteBudget', () => {
  it('lets no tenant have more than its part, and the others go on', async () => {
    const { started, read, end } = openReads(new ByteBudget(10, 100));
    const first = read('a1', 'a', 6);
    void read('a2', 'a', 6);
    void read('a3', 'a', 1);
    void read('b1', 'b', 6);
    await Promise.resolve();
    // a3 would fit, and waits its turn behind a2.
    expect(started).toEqual(['a1', 'b1']);
    await end('a1', first);
    await Promise.resolve();
    expect(started).toEqual(['a1', 'b1', 'a2', 'a3']);
  });

  it('lets all together have no more than there is, and what is larger than that alone', async () => {
    const { started, read, end } = openReads(new ByteBudget(10, 10));
    const first = read('a', 'a', 50);
    const second = read('b', 'b', 8);
    void read('c', 'c', 8);
    await Promise.resolve();
    expect(started).toEqual(['a']);
    await end('a', first);
    await Promise.resolve();
    expect(started).toEqual(['a', 'b']);
    await end('b', second);
    await Promise.resolve();
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('gives back what a read that failed had', async () => {
    const budget = new ByteBudget(1, 1);
    await expect(budget.spend('a', 1, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await budget.spend('a', 1, async () => 'read')).toBe('read');
  });
});
