/** Who has which row, and what is in it: against a cache that only remembers what it was told. */
import { describe, expect, test } from 'vitest';
import type { KvCache } from './cache.js';
import { CHUNK, type Claim, type Slot, Slots } from './slots.js';

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
/** 0, 1, 2, ... */
const count = (length: number) => Uint32Array.from({ length }, (_, n) => n);

/** A prompt, `answer` of whose tokens are those of an answer that came with it. */
function claimOf(ids: Uint32Array, { answer = 0, ...more }: Partial<Claim> & { readonly answer?: number } = {}): Claim {
  const prompt = ids.length - answer;
  return { tokens: ids, prompt, proposals: false, reserve: 9, scope: 'a', reuse: ids.length - 1, ...more };
}

/** A text with all of its tokens in the cache. */
function fill(slots: Slots, ids: Uint32Array, more: Parameters<typeof claimOf>[1] = {}): Slot {
  const slot = slots.claim(claimOf(ids, { reserve: 50, ...more }))!;
  slots.extend(slot, ids.length - slot.length);
  return slot;
}

describe('a text', () => {
  test('that goes on takes the row that it had, answer and all', () => {
    const { slots, cache } = slotsOf(3);
    slots.release(fill(slots, tokens(1, 2, 3), { answer: 1 }));
    const slot = slots.claim(claimOf(tokens(1, 2, 3, 4, 5), { answer: 3 }))!;
    expect(slot).toMatchObject({ place: 0, length: 3, reserved: 9 });
    expect(cache.copies).toEqual([]);
  });

  test('that only begins alike gets a copy, of a text that is running too', () => {
    const { slots, cache } = slotsOf(3);
    fill(slots, count(2 * CHUNK + 9));
    const other = Uint32Array.from(count(2 * CHUNK + 9), (id, n) => (n < 2 * CHUNK + 5 ? id : 999));
    const slot = slots.claim(claimOf(other, { reserve: 200 }))!;
    // Whole chunks of it.
    expect(slot).toMatchObject({ place: 1, length: 2 * CHUNK });
    expect(cache.copies).toEqual([[0, 1, 2 * CHUNK]]);
    expect(slot.tokens.subarray(0, other.length)).toEqual(other);
  });

  test('that goes on with what was an answer takes the row, of which whole chunks of the prompt stay', () => {
    const { slots, cache } = slotsOf(3);
    slots.release(fill(slots, count(3 * CHUNK), { answer: CHUNK + 5 }));
    const slot = slots.claim(claimOf(count(3 * CHUNK + 9)))!;
    expect(slot).toMatchObject({ place: 0, length: CHUNK, prompt: 3 * CHUNK + 9 });
    expect(cache.copies).toEqual([]);
  });

  test('takes no answer whose proposals were verified, where it would have none itself', () => {
    const { slots } = slotsOf(4);
    const donor = fill(slots, count(CHUNK + 20), { answer: 10 });
    donor.verified = true;
    const rest = { answer: 10, reserve: 80 };
    expect(slots.claim(claimOf(count(CHUNK + 20), rest))).toMatchObject({ length: CHUNK, verified: false });
    const alike = slots.claim(claimOf(count(CHUNK + 20), { ...rest, proposals: true }));
    expect(alike).toMatchObject({ length: CHUNK + 19, verified: true });
  });

  test('begins with nothing of another scope, nor with more than it may', () => {
    const { slots } = slotsOf(4);
    fill(slots, count(CHUNK + 9));
    expect(slots.claim(claimOf(count(CHUNK + 9), { scope: 'b' }))).toMatchObject({ length: 0 });
    expect(slots.claim(claimOf(count(CHUNK + 9), { reuse: 0 }))).toMatchObject({ length: 0 });
    expect(slots.claim(claimOf(count(CHUNK + 9)))).toMatchObject({ length: CHUNK });
  });

  test('takes the row that was used longest ago, and none that is in use', () => {
    const { slots } = slotsOf(3);
    const [a, b, c] = [tokens(1, 1), tokens(2, 2), tokens(3, 3)].map((ids) => fill(slots, ids)) as [Slot, Slot, Slot];
    expect(slots.claim(claimOf(tokens(4), { reserve: 9 }))).toBeUndefined();
    slots.release(b);
    slots.release(a);
    expect(slots.claim(claimOf(tokens(4), { reserve: 9 }))).toBe(b);
    expect(slots.claim(claimOf(tokens(5), { reserve: 9 }))).toBe(a);
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
    expect(slots.claim(claimOf(tokens(2), { reserve: 50 }))).toBeUndefined();
    expect(slots.claim(claimOf(tokens(2), { reserve: 40 }))).toBeDefined();
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
