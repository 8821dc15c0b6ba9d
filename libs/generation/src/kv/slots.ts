/**
 * What each row of the cache holds, and for whom. A text that has ended leaves its row behind as a prefix for later ones of
 * the same owner, until the row or its memory is needed: the least recently used goes first. There are few rows, so that
 * prefixes are found by comparing tokens.
 */
import type { KvCache } from './cache.js';

/** What a row holds. It moves from row to row; `place` is where it is. */
export interface Slot {
  place: number;
  /** Of the text. Keys and values of the first `length` are in the cache. */
  readonly tokens: Uint32Array;
  length: number;
  owner: string;
  /** Tokens that the text which has the row may come to; 0: nobody has it. */
  reserved: number;
  /** Larger than that of all that were used before. */
  used: number;
}

/** A text that wants a row. */
export interface Claim {
  readonly tokens: Uint32Array;
  /** Tokens that it may come to. */
  readonly reserve: number;
  readonly owner: string;
  /** Tokens of a prefix that it may take over at most. */
  readonly reuse: number;
}

/**
 * Tokens of a prompt that are processed at once. A token's keys and values depend a little on which others are in its pass, so
 * prompts are cut in the same places whatever else goes on, and whole chunks are taken over: a text does not depend on what
 * was there before it.
 */
export const CHUNK = 64;

export class Slots {
  readonly #cache: KvCache;
  readonly #budget: number;
  readonly #slots: Slot[];
  /** Of each place, the tokens whose memory it has. */
  readonly #touched: number[];
  #clock = 0;

  /** `budget`: tokens of all rows together that may be in memory; at least those of the longest text. */
  constructor(cache: KvCache, budget: number) {
    this.#cache = cache;
    this.#budget = budget;
    this.#slots = Array.from({ length: cache.rows }, (_, place) => ({
      ...{ place, length: 0, owner: '', reserved: 0, used: 0 },
      tokens: new Uint32Array(cache.capacity + 1),
    }));
    this.#touched = this.#slots.map(() => 0);
  }

  /** Tokens whose memory the cache has, whether they count or not. */
  get touched(): number {
    return sum(this.#touched);
  }

  /**
   * A row for a text, with its tokens and as long a prefix of them as there is; undefined where there is no room now. The
   * text is to end with `release`.
   */
  claim({ tokens, reserve, owner, reuse }: Claim): Slot | undefined {
    const free = this.#slots.filter(({ reserved }) => reserved === 0).sort((a, b) => a.used - b.used);
    const held = sum(this.#slots.map(({ reserved }) => reserved));
    if (free.length === 0 || held + reserve > this.#budget) return undefined;
    const { best, common: alike } = this.#longestPrefix(tokens, owner, reuse);
    // A text that goes on takes its row; a prefix that only begins alike stays for others, while there are other rows.
    const goesOn = best?.reserved === 0 && alike === best.length;
    const common = goesOn ? alike : alike - (alike % CHUNK);
    const slot = goesOn ? best : (free.find((other) => other !== best) ?? free[0]!);
    if (best !== undefined && slot !== best && common > 0) {
      // Its memory may have to go before there is room, but not what is to be copied.
      best.used = ++this.#clock;
      this.#touch(slot.place, common);
      this.#cache.copyPrefix(best.place, slot.place, common);
    }
    slot.tokens.set(tokens);
    slot.length = common;
    slot.owner = owner;
    slot.reserved = reserve;
    slot.used = ++this.#clock;
    this.#makeRoom();
    return slot;
  }

  /** So many more of a row's tokens are in the cache, and `padding` behind them. */
  extend(slot: Slot, tokens: number, padding = 0): void {
    slot.length += tokens;
    slot.used = ++this.#clock;
    this.#touch(slot.place, slot.length + padding);
  }

  /** The row is free for others, which may use what it holds. */
  release(slot: Slot): void {
    slot.reserved = 0;
    slot.used = ++this.#clock;
  }

  /** As `release`; what it holds cannot be relied on. */
  discard(slot: Slot): void {
    slot.reserved = 0;
    slot.length = 0;
    slot.used = 0;
  }

  swap(a: number, b: number): void {
    const [one, other] = [this.#slots[a]!, this.#slots[b]!];
    this.#cache.swap(a, one.length, b, other.length);
    this.#touch(a, other.length);
    this.#touch(b, one.length);
    this.#slots[a] = other;
    this.#slots[b] = one;
    other.place = a;
    one.place = b;
    this.#makeRoom();
  }

  #longestPrefix(tokens: Uint32Array, owner: string, reuse: number): { best: Slot | undefined; common: number } {
    let [best, common]: [Slot | undefined, number] = [undefined, 0];
    for (const slot of this.#slots) {
      if (slot.owner !== owner) continue;
      const most = Math.min(slot.length, reuse);
      if (most <= common) continue;
      let length = 0;
      while (length < most && slot.tokens[length] === tokens[length]) length++;
      if (length > common) [best, common] = [slot, length];
    }
    return { best, common };
  }

  /** What texts that moved have left behind goes first, then what is the longest unused. */
  #makeRoom(): void {
    const held = ({ length, reserved }: Slot) => Math.max(length, reserved);
    let over = sum(this.#slots.map((slot) => Math.max(this.#touched[slot.place]!, held(slot)))) - this.#budget;
    const giveBack = (slot: Slot) => {
      const touched = this.#touched[slot.place]!;
      if (!this.#cache.giveBack(slot.place, slot.length, touched)) return;
      this.#touched[slot.place] = slot.length;
      over -= Math.max(touched, held(slot)) - held(slot);
    };
    for (const slot of this.#slots) {
      if (over <= 0) return;
      if (this.#touched[slot.place]! > held(slot)) giveBack(slot);
    }
    const free = this.#slots.filter(({ reserved, length }) => reserved === 0 && length > 0);
    for (const slot of free.sort((a, b) => a.used - b.used)) {
      if (over <= 0) return;
      this.discard(slot);
      giveBack(slot);
    }
  }

  #touch(place: number, tokens: number): void {
    this.#touched[place] = Math.max(this.#touched[place]!, tokens);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
