/** A text that is being generated: what is known of it, and its row of the cache. */
import type { Savings } from '@shoal/contracts';
import type { Slot } from '../kv/slots.js';
import { History } from '../sampling/penalties.js';
import { predictionOf } from '../speculation/prompt-lookup.js';
import type { Finish, GenerationRequest } from '../types.js';
import type { RequestToken } from './events.js';

/** A pass over four tokens of a text takes half as long again as one over one: at fewer proposals that are right it is slower. */
const WORTHWHILE = 0.5;
/** How much of the mean the latest pass is. */
const LATEST = 0.2;
/** Tokens after which another proposal is made where they were not worthwhile. */
const RETRY = 32;

export class Row {
  readonly request: GenerationRequest;
  readonly slot: Slot;
  readonly history: History;
  /** Where proposals are looked for beside the text itself. */
  readonly prediction: Uint32Array | null;
  /** Tokens that are known: the prompt and those of the answer. The last ones may not be in the cache yet. */
  known: number;
  /** How likely the prompt's tokens were that were processed in this row, where that is wanted and was not told yet. */
  readonly promptTokens: RequestToken[] = [];
  /** Nothing more follows. */
  ending: Finish | undefined;
  #savings: Savings;
  /** Proposed tokens that were right, of each pass lately. */
  #hits = WORTHWHILE;
  /** Tokens of the answer at the last proposal. */
  #proposedAt = 0;

  /** `savings`: from when its prompt was begun here before; default: what is in the slot was made for others. */
  constructor(request: GenerationRequest, slot: Slot, savings?: Savings) {
    this.request = request;
    this.slot = slot;
    this.history = new History(request);
    const cachedTokens = Math.min(slot.length, request.prompt.length);
    this.#savings = savings ?? { cachedTokens, accepted: 0, rejected: 0 };
    this.prediction = predictionOf(request.prompt, request.prediction);
    this.known = request.prompt.length + request.emitted.length;
    if (request.emitted.length === request.maxTokens) this.ending = { reason: 'length', stop: null };
  }

  /** Of the answer. */
  get made(): number {
    return this.known - this.request.prompt.length;
  }

  /** Known tokens that are not in the cache. */
  get left(): number {
    return this.known - this.slot.length;
  }

  /**
   * Tokens of the prompt, and what else is processed in chunks, that are not in the cache. Those of an answer that came with it
   * are processed one by one, as they were when they were made, so that it goes on as it would have gone on there.
   */
  get leftOfPrompt(): number {
    return this.slot.prompt - this.slot.length;
  }

  get savings(): Savings {
    return this.#savings;
  }

  /** What a pass takes: known tokens that are not in the cache, at most so many. */
  next(count: number): Uint32Array {
    return this.slot.tokens.subarray(this.slot.length, this.slot.length + count);
  }

  append(token: number): void {
    this.slot.tokens[this.known++] = token;
    this.history.add(token);
  }

  /** Whether to propose what follows. */
  get proposes(): boolean {
    return this.#hits >= WORTHWHILE || this.made - this.#proposedAt >= RETRY;
  }

  /** The tokens that a pass verifies: behind the known ones, unknown as they are. */
  propose(tokens: Uint32Array): void {
    this.slot.tokens.set(tokens, this.known);
    this.slot.verified = true;
    this.#proposedAt = this.made;
  }

  /** Of the proposed tokens so many were right. Where they came from elsewhere than a prediction, that is nobody else's business. */
  verified(proposed: number, right: number): void {
    const { cachedTokens, accepted, rejected } = this.#savings;
    if (this.prediction !== null) {
      this.#savings = { cachedTokens, accepted: accepted + right, rejected: rejected + proposed - right };
    }
    this.#hits += (right - this.#hits) * LATEST;
  }
}

/**
 * Whether a text may be proposed what follows. A pass over several of its tokens rounds otherwise than one over each, by some
 * hundredths of a log probability: a greedy text may part at a near-tie, but a sampled one would nearly always, so it has
 * proposals only where it came with a prediction.
 */
export function takesProposals({ sampling, prediction }: GenerationRequest): boolean {
  return sampling.temperature === 0 || prediction !== null;
}

/** What of a text that begins is processed in chunks: where longrope has changed its factors under way, all up to there. */
export function chunkedOf({ prompt, emitted }: GenerationRequest, recomputedBeyond: number | null): number {
  if (recomputedBeyond === null || prompt.length + emitted.length <= recomputedBeyond) return prompt.length;
  return Math.max(prompt.length, recomputedBeyond + 1);
}

/** Those that are known when it begins. */
export function tokensOf({ prompt, emitted }: GenerationRequest): Uint32Array {
  const tokens = new Uint32Array(prompt.length + emitted.length);
  tokens.set(prompt);
  tokens.set(emitted, prompt.length);
  return tokens;
}
