/**
 * What each row of the cache holds, and for whom. A text that has ended leaves its row behind as a prefix for later ones of
 * the same scope, until the row or its memory is needed: the least recently used goes first. There are few rows, so that
 * prefixes are found by comparing tokens.
 *
 * A text takes over only what it would have computed itself to the last bit, so that it does not depend on what was there
 * before it. A token's keys and values depend a little on how many are computed with it: those of prompts are in chunks
 * that are cut in the same places whatever else goes on, those of answers one by one.
 */
import type { KvCache } from './cache.js';

/** What a row holds. It moves from row to row; `place` is where it is. */
export interface Slot {
  place: number;
  /** Of the text. Keys and values of the first `length` are in the cache. */
  readonly tokens: Uint32Array;
  length: number;
  /** Tokens of its prompt, and of what else was computed in chunks. */
  prompt: number;
  /** Whether some behind them were computed several at once, as proposals. */
  verified: boolean;
  scope: string;
  /** Tokens that the text which has the row may come to; 0: nobody has it. */
  reserved: number;
  /** Larger than that of all that were used before. */
  used: number;
}

/** A text that wants a row. */
export interface Claim {
  /** Of the prompt, and of an answer that came with it. */
  readonly tokens: Uint32Array;
  /** How many of them are computed in chunks: the prompt. */
  readonly prompt: number;
  /** Whether proposals may be made to it: its answer may be computed several tokens at once. */
  readonly proposals: boolean;
  /** Tokens that it may come to. */
  readonly reserve: number;
  /** Whose rows it may use: those with the same. */
  readonly scope: string;
  /** Tokens of a prefix that it may take over at most. */
  readonly reuse: number;
}

/** A row that a text may begin with. */
interface Prefix {
  readonly slot: Slot;
  /** Tokens at its beginning that are those of the text. */
  readonly common: number;
  /** How many of them are taken over. */
  readonly reused: number;
}

/** Tokens of a prompt that are processed at once. */
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
      ...{ place, length: 0, prompt: 0, verified: false, scope: '', reserved: 0, used: 0 },
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
  claim(claim: Claim): Slot | undefined {
    const { tokens, prompt, reserve, scope } = claim;
    const free = this.#slots.filter(({ reserved }) => reserved === 0).sort((a, b) => a.used - b.used);
    const held = sum(this.#slots.map(({ reserved }) => reserved));
    if (free.length === 0 || held + reserve > this.#budget) return undefined;
    const best = this.#bestPrefix(claim);
    const reused = best?.reused ?? 0;
    // A text that goes on takes its row; a prefix that only begins alike stays for others, while there are other rows.
    const goesOn = best?.slot.reserved === 0 && best.common === best.slot.length;
    const slot = goesOn ? best.slot : (free.find((other) => other !== best?.slot) ?? free[0]!);
    if (best !== undefined && slot !== best.slot) {
      // Its memory may have to go before there is room, but not what is to be copied.
      best.slot.used = ++this.#clock;
      this.#touch(slot.place, reused);
      this.#cache.copyPrefix(best.slot.place, slot.place, reused);
    }
    slot.tokens.set(tokens);
    slot.length = reused;
    slot.prompt = prompt;
    slot.verified = reused > prompt && best!.slot.verified;
    slot.scope = scope;
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

  /** The one of which most is taken over; of equals the one that is most alike, which may be the text's own. */
  #bestPrefix(claim: Claim): Prefix | undefined {
    let best: Prefix | undefined;
    for (const slot of this.#slots) {
      if (slot.scope !== claim.scope) continue;
      const common = alike(slot.tokens, claim.tokens, Math.min(slot.length, claim.reuse));
      const reused = reusable(slot, claim, common);
      if (reused === 0 || reused < (best?.reused ?? 0)) continue;
      if (best === undefined || reused > best.reused || common > best.common) best = { slot, common, reused };
    }
    return best;
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

/** Of the `common` first tokens of a row and a text, those that the row has as the text would compute them. */
function reusable(slot: Slot, { prompt, proposals }: Claim, common: number): number {
  if (slot.prompt === prompt && common >= prompt && (proposals || !slot.verified)) return common;
  const chunked = Math.min(common, slot.prompt, prompt);
  return chunked - (chunked % CHUNK);
}

/** How many of the first `most` tokens are the same. */
function alike(a: Uint32Array, b: Uint32Array, most: number): number {
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
