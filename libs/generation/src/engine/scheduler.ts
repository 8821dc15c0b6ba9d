/**
 * What the next step of the engine is. Texts that are under way go on in every step; beside them prompts are processed in
 * chunks, so that nobody waits for a long prompt of another.
 */

/**
 * Tokens of prompts in a step, beside texts that wait for their next token, and without them. Of 135 million parameters and 8
 * texts, 64 make a step four times as long; 128 would process prompts by 6 % faster, 32 by 14 % slower.
 */
export const BUSY_CHUNK = 64;
export const IDLE_CHUNK = 256;
/** Texts at once for which to verify proposals pays: a pass over more tokens of more texts takes as much longer. */
const VERIFYING = 2;

/** Where the logits of all of them are wanted: with a vocabulary of 256,000 they are a megabyte each. */
const CHUNK_OF_LOGITS = 32;

/** The part of a request that tells when it is its turn. */
export interface Turn {
  readonly order: number;
  readonly alone: boolean;
}

/** A prompt that is being processed. */
export interface Prefill {
  /** Tokens that are not in the cache yet. */
  readonly left: number;
  /** Whether the logits after each token are wanted. */
  readonly everyToken: boolean;
}

export interface Step {
  /** Whether texts go on. */
  readonly decode: boolean;
  /** Whether proposals of what follows are verified with it. */
  readonly verify: boolean;
  /** Tokens of prompts that may be processed. */
  readonly budget: number;
}

/** `next`: whose prompt is processed, if any is. While that is of a suspect, nobody else is in a pass. */
export function planStep(decoding: number, next: Turn | undefined): Step {
  const decode = decoding > 0 && !(next?.alone ?? false);
  return { decode, verify: decode && decoding <= VERIFYING, budget: decode ? BUSY_CHUNK : IDLE_CHUNK };
}

/** Tokens of a prompt's next chunk. */
export function chunkOf({ left, everyToken }: Prefill, budget: number): number {
  return Math.min(left, budget, everyToken ? CHUNK_OF_LOGITS : budget);
}

/** Whose turn it is: the place in the list; -1 where it is empty. Of equals the first. */
export function nextInTurn(waiting: readonly Turn[]): number {
  let best = -1;
  waiting.forEach(({ order }, n) => {
    if (best === -1 || order < waiting[best]!.order) best = n;
  });
  return best;
}

/** Which rows are to be exchanged so that those in `places` come to be rows 0 to n - 1: each hole with a row from behind. */
export function compaction(places: readonly number[]): (readonly [to: number, from: number])[] {
  const taken = new Set(places);
  const behind = places.filter((place) => place >= places.length);
  const holes = places.flatMap((_, place) => (taken.has(place) ? [] : [place]));
  return holes.map((hole, n) => [hole, behind[n]!] as const);
}
