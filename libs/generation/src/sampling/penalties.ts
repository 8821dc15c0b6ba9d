/**
 * What a request does to the logits of single tokens, kept up to date token by token. In vLLM's order: bias, repetition,
 * frequency and presence; a stop token is masked while the answer is too short for it.
 */
import type { GenerationRequest, Sampling } from '../types.js';

type Parts = Pick<GenerationRequest, 'sampling' | 'prompt' | 'emitted' | 'minTokens' | 'stopIds'>;

export class History {
  readonly sampling: Sampling;
  readonly #penalised: boolean;
  readonly #minTokens: number;
  /** Tokens whose logits may change, and where each is in the lists beside it. */
  readonly #ids: number[] = [];
  readonly #places = new Map<number, number>();
  readonly #biases: number[] = [];
  /** How often a token is in the answer. */
  readonly #counts: number[] = [];
  /** Whether it is in the prompt or the answer. */
  readonly #seen: boolean[] = [];
  readonly #stops: boolean[] = [];
  #length = 0;

  constructor({ sampling, prompt, emitted, minTokens, stopIds }: Parts) {
    const { repetitionPenalty, frequencyPenalty, presencePenalty, logitBias } = sampling;
    this.sampling = sampling;
    this.#penalised = repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
    this.#minTokens = minTokens;
    for (const [id, bias] of logitBias) this.#biases[this.#place(id)]! += bias;
    if (emitted.length < minTokens) for (const id of stopIds) this.#stops[this.#place(id)] = true;
    if (repetitionPenalty !== 1) for (const id of prompt) this.#seen[this.#place(id)] = true;
    for (const id of emitted) this.add(id);
  }

  /** Tokens of the answer so far: the position of the next one. */
  get length(): number {
    return this.#length;
  }

  /** The tokens whose logits `adjusted` may change now. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** A token joins the answer. */
  add(id: number): void {
    this.#length++;
    if (this.#penalised) {
      const place = this.#place(id);
      this.#counts[place]!++;
      this.#seen[place] = true;
    } else if (this.#length === this.#minTokens && this.sampling.logitBias.length === 0) {
      // Stop tokens were all that changed.
      this.#ids.length = 0;
      this.#places.clear();
    }
  }

  /** Whether it is one of `ids`. */
  changes(id: number): boolean {
    return this.#places.has(id);
  }

  /** The logit of `ids[n]`, changed. −Infinity: not to be chosen. */
  adjusted(n: number, logit: number): number {
    if (this.#stops[n] && this.#length < this.#minTokens) return Number.NEGATIVE_INFINITY;
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.sampling;
    const count = this.#counts[n]!;
    let value = logit + this.#biases[n]!;
    // Keskar et al. 2019: less likely whichever sign the logit has.
    if (this.#seen[n]) value = value > 0 ? value / repetitionPenalty : value * repetitionPenalty;
    // https://platform.openai.com/docs/advanced-usage: by how often a token was, and whether it was at all.
    return count === 0 ? value : value - count * frequencyPenalty - presencePenalty;
  }

  #place(id: number): number {
    const known = this.#places.get(id);
    if (known !== undefined) return known;
    const place = this.#ids.push(id) - 1;
    this.#places.set(id, place);
    this.#biases.push(0);
    this.#counts.push(0);
    this.#seen.push(false);
    this.#stops.push(false);
    return place;
  }
}
