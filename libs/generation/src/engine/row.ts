/** A text that is being generated: what is known of it, and its row of the cache. */
import type { Slot } from '../kv/slots.js';
import { History } from '../sampling/penalties.js';
import type { Finish, GenerationRequest } from '../types.js';

export class Row {
  readonly request: GenerationRequest;
  readonly slot: Slot;
  readonly history: History;
  /** Tokens that came with the cache. */
  readonly cachedTokens: number;
  /** Tokens that are known: the prompt and those of the answer. The last ones may not be in the cache yet. */
  known: number;
  accepted = 0;
  rejected = 0;

  constructor(request: GenerationRequest, slot: Slot) {
    this.request = request;
    this.slot = slot;
    this.history = new History(request);
    this.cachedTokens = slot.length;
    this.known = request.prompt.length + request.emitted.length;
  }

  /** Of the answer. */
  get made(): number {
    return this.known - this.request.prompt.length;
  }

  /** Known tokens that are not in the cache. */
  get left(): number {
    return this.known - this.slot.length;
  }

  /** What a pass takes: known tokens that are not in the cache, at most so many. */
  next(count: number): Uint32Array {
    return this.slot.tokens.subarray(this.slot.length, this.slot.length + count);
  }

  append(token: number): void {
    this.slot.tokens[this.known++] = token;
    this.history.add(token);
  }

  finish(reason: Finish['reason'], stopId: number | null = null): Finish {
    const { cachedTokens, accepted, rejected } = this;
    return { reason, stopId, cachedTokens, accepted, rejected };
  }
}
