/** Who has which row, and what is in it: against a cache that only remembers what it was told. */
import { describe, expect, test } from 'vitest';
import type { KvCache } from './cache.js';
import { CHUNK, type Slot, Slots } from './slots.js';

const CAPACITY = 300;

class Remembering {
  readonly rows: number;
  readonly capacity = CAPACITY;
  readonly copies: number[][] = [];
  readonly given: number[][] = [];

  constructor(rows: number) {
    this.rows = rows;
  }

  copyPrefix(...copy: number[]): void {
    this.copies.push(copy);
  }

  giveBack(...given: number[]): boolean {
    this.given.push(given);
    return true;
  }

  swap(): void {}
}

function slotsOf(rows: number, budget = rows * CAPACITY) {
  const cache = new Remembering(rows);
  return { cache, slots: new Slots(cache as unknown as KvCache, budget) };
}

const tokens = (...ids: number[]) => Uint32Array.from(ids);

/** A text with all of its tokens in the cache but the last one. */
function fill(slots: Slots, ids: Uint32Array, { owner = 'a', reserve = 50 } = {}): Slot {
  const slot = slots.claim({ tokens: ids, reserve, owner, reuse: ids.length - 1 })!;
  slots.extend(slot, ids.length - slot.length);
  return slot;
}

describe('a text', () => {
  test('that goes on takes the row that it had', () => {
    const { slots, cache } = slotsOf(3);
    slots.release(fill(slots, tokens(1, 2, 3)));
    const slot = slots.claim({ tokens: tokens(1, 2, 3, 4, 5), reserve: 9, owner: 'a', reuse: 4 })!;
    expect(slot).toMatchObject({ place: 0, length: 3, reserved: 9 });
    expect(cache.copies).toEqual([]);
  });

  test('that only begins alike gets a copy, of a text that is running too', () => {
    const { slots, cache } = slotsOf(3);
    const text = Uint32Array.from({ length: 2 * CHUNK + 9 }, (_, n) => n);
    fill(slots, text);
    const other = Uint32Array.from(text, (id, n) => (n < 2 * CHUNK + 5 ? id : 999));
    const slot = slots.claim({ tokens: other, reserve: 200, owner: 'a', reuse: other.length - 1 })!;
    // Whole chunks of it.
    expect(slot).toMatchObject({ place: 1, length: 2 * CHUNK });
    expect(cache.copies).toEqual([[0, 1, 2 * CHUNK]]);
    expect(slot.tokens.subarray(0, other.length)).toEqual(other);
  });

  test('begins with nothing of another owner, nor with more than it may', () => {
    const { slots } = slotsOf(3);
    fill(slots, tokens(1, 2, 3, 4));
    expect(slots.claim({ tokens: tokens(1, 2, 3), reserve: 9, owner: 'b', reuse: 2 })).toMatchObject({ length: 0 });
    expect(slots.claim({ tokens: tokens(1, 2, 3), reserve: 9, owner: 'a', reuse: 0 })).toMatchObject({ length: 0 });
  });

  test('takes the row that was used longest ago, and none that is in use', () => {
    const { slots } = slotsOf(3);
    const [a, b, c] = [tokens(1, 1), tokens(2, 2), tokens(3, 3)].map((ids) => fill(slots, ids)) as [Slot, Slot, Slot];
    expect(slots.claim({ tokens: tokens(4), reserve: 9, owner: 'a', reuse: 0 })).toBeUndefined();
    slots.release(b);
    slots.release(a);
    expect(slots.claim({ tokens: tokens(4), reserve: 9, owner: 'a', reuse: 0 })).toBe(b);
    expect(slots.claim({ tokens: tokens(5), reserve: 9, owner: 'a', reuse: 0 })).toBe(a);
    expect(c.length).toBe(2);
  });
});

describe('memory', () => {
  test('of texts that have ended goes first, the longest unused before the others', () => {
    const { slots, cache } = slotsOf(4, 100);
    const texts = [1, 2, 3].map((id) => fill(slots, new Uint32Array(30).fill(id), { reserve: 30 }));
    for (const slot of [texts[1]!, texts[0]!]) slots.release(slot);
    fill(slots, new Uint32Array(30).fill(4), { reserve: 30 });
    expect(cache.given).toEqual([[1, 0, 30]]);
    expect(slots.touched).toBe(90);
    expect(texts.map(({ length }) => length)).toEqual([30, 0, 30]);
  });

  test('that texts may come to need is kept for them', () => {
    const { slots } = slotsOf(4, 100);
    fill(slots, tokens(1), { reserve: 60 });
    expect(slots.claim({ tokens: tokens(2), reserve: 50, owner: 'a', reuse: 0 })).toBeUndefined();
    expect(slots.claim({ tokens: tokens(2), reserve: 40, owner: 'a', reuse: 0 })).toBeDefined();
  });

  test('that a text left behind where it moved from is given back', () => {
    const { slots, cache } = slotsOf(2, 100);
    const long = fill(slots, new Uint32Array(60).fill(1), { reserve: 60 });
    slots.swap(0, 1);
    expect(long.place).toBe(1);
    expect(cache.given).toEqual([[0, 0, 60]]);
    expect(slots.touched).toBe(60);
  });
});
