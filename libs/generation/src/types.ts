/** What is asked of an engine that generates text, and what it tells of it. */

/** How a token is chosen among those that may follow. Randomness is a function of seed, position and choice alone. */
export interface Sampling {
  /** 0: always the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  /** 0: all. */
  readonly topK: number;
  readonly minP: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** 1: none (Keskar et al. 2019). */
  readonly repetitionPenalty: number;
  readonly logitBias: readonly (readonly [id: number, bias: number])[];
  /** From 0 to 2³² − 1. */
  readonly seed: number;
}

export interface GenerationRequest {
  /** The caller's own number for it, used once. */
  readonly id: number;
  readonly prompt: Uint32Array;
  /** Tokens of the answer that were made before, here or elsewhere. */
  readonly emitted: Uint32Array;
  /** Which of the answers to this prompt it is, from 0. */
  readonly choice: number;
  readonly sampling: Sampling;
  /** Of the answer, emitted ones included. */
  readonly maxTokens: number;
  /** Before so many tokens no stop token is chosen. */
  readonly minTokens: number;
  /** Any of them ends the answer. */
  readonly stopIds: readonly number[];
  /** Alternatives of each token; null: no log probabilities. */
  readonly topLogprobs: number | null;
  readonly promptLogprobs: boolean;
  /** Place in the fair order: lower ones first. */
  readonly order: number;
  /** While its owner has a row of a better, that is a lower one, it rests, or goes on beside it as far as that is not felt. */
  readonly rank: number;
  /** Nobody else is in its passes until its first token: it may end the process. */
  readonly alone: boolean;
  /** Ranks are those among the requests of one owner. */
  readonly owner: string;
  /** Whose cached prefixes it may use: those of requests with the same. */
  readonly cacheScope: string;
  /** Tokens that the answer is likely to have. */
  readonly prediction: Uint32Array | null;
}

export interface NewToken {
  readonly id: number;
  /** NaN where it was not asked for. */
  readonly logprob: number;
  readonly topIds: Uint32Array;
  readonly topValues: Float32Array;
}

/** How an answer came to its end. */
export interface Finish {
  readonly reason: 'stop' | 'length';
  /** The one of `stopIds` that was chosen. */
  readonly stop: NewToken | null;
}
