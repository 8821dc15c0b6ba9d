/** What travels between API and workers inside a job record: tokenised inputs and raw outputs. MessagePack, never JSON. */
import type { ElementType } from './tasks.js';

/** One tokenised row: what a micro-batch is made of. */
export interface TextItem {
  readonly kind: 'text';
  readonly ids: Uint32Array;
  /** Segment ids; left out where all are 0. */
  readonly typeIds?: Uint8Array;
  /** Tokens at the beginning, of a prompt, that pooling leaves out. */
  readonly promptTokens?: number;
  /** Token classification only: the text, and two UTF-16 offsets and a word number (−1: special token) per token. */
  readonly text?: string;
  readonly offsets?: Uint32Array;
  readonly words?: Int32Array;
}

/** The named inputs of one forward pass; rows are joined along the first dimension where the model allows it. */
export interface TensorsItem {
  readonly kind: 'tensors';
  readonly tensors: Readonly<Record<string, WireTensor>>;
}

/** Bytes are little-endian; strings are a list. */
export interface WireTensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Uint8Array | readonly string[];
}

/** A prompt of a model that generates text, and which of its answers this item is. */
export interface PromptItem {
  readonly kind: 'prompt';
  readonly ids: Uint32Array;
  /** From 0: tells apart the answers to one prompt, whose randomness is a function of it. */
  readonly choice: number;
  /** Tokens that the answer is likely to have, in this order: they are tried, and cost nothing where they are wrong. */
  readonly prediction?: Uint32Array;
}

export type WireItem = TextItem | TensorsItem | PromptItem;

/** One item's output before it is shown: small values, Float32Arrays and WireTensors. */
export type WireOutput =
  | { readonly kind: 'scores'; readonly indices: Uint32Array; readonly scores: Float32Array }
  | { readonly kind: 'vector'; readonly values: Float32Array; readonly dims: readonly number[] }
  | { readonly kind: 'score'; readonly score: number }
  | { readonly kind: 'entities'; readonly entities: readonly WireEntity[] }
  | { readonly kind: 'tensors'; readonly tensors: Readonly<Record<string, WireTensor>> }
  | GeneratedText;

export interface WireEntity {
  readonly label: number;
  readonly score: number;
  readonly start: number;
  readonly end: number;
  readonly word: string;
}

/** Natural logarithms of the probabilities of tokens, one after another, and of the likeliest tokens in their places. */
export interface WireLogprobs {
  /** Of the tokens themselves; NaN where there is none, as for the first of a prompt. */
  readonly values: Float32Array;
  /** Alternatives of each token, likeliest first: `top` of them in every place. */
  readonly top: number;
  readonly topIds: Uint32Array;
  readonly topValues: Float32Array;
}

/** A part of an answer, in the order in which it grows. */
export interface TextPiece {
  /** Tokens of the answer before this piece. */
  readonly from: number;
  readonly ids: Uint32Array;
  /** What may be shown by now: less than the tokens say where the beginning of a stop string or half a character is held back. */
  readonly text: string;
  readonly logprobs?: WireLogprobs;
  /** Of the answer up to here; left out where it is what the piece before says. */
  readonly savings?: Savings;
}

/** What was spared of an answer. */
export interface Savings {
  /** Tokens of the prompt that were there from other texts when it was first begun. */
  readonly cachedTokens: number;
  /** Tokens of the prediction that were right, and those that were tried in vain. */
  readonly accepted: number;
  readonly rejected: number;
}

/** A whole answer. */
export interface GeneratedText extends Savings {
  readonly kind: 'generation';
  /** All tokens that were made, the one that ended the text included. */
  readonly ids: Uint32Array;
  readonly text: string;
  /** `length`: neither an end token nor a stop string came in time. */
  readonly finish: 'stop' | 'length';
  /** The stop string or token of the caller's that ended it; null where the model's own end did. */
  readonly stopped: string | number | null;
  readonly logprobs?: WireLogprobs;
  /** Tokens of the prompt, where it is echoed. */
  readonly promptIds?: Uint32Array;
  /** Of the prompt's tokens, where it is echoed with them. */
  readonly promptLogprobs?: WireLogprobs;
}
