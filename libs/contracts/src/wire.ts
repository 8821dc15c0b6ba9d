/** What travels between API and workers inside a job record: tokenised inputs and raw outputs. MessagePack, never JSON. */
import type { ElementType } from './tasks.js';

/** One tokenised row: what a micro-batch is made of. */
export interface TextItem {
  readonly kind: 'text';
  readonly ids: Uint32Array;
  /** Segment ids; left out where all are 0. */
  readonly typeIds?: Uint8Array;
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

export type WireItem = TextItem | TensorsItem;

/** One item's output before it is shown: small values, Float32Arrays and WireTensors. */
export type WireOutput =
  | { readonly kind: 'scores'; readonly indices: Uint32Array; readonly scores: Float32Array }
  | { readonly kind: 'vector'; readonly values: Float32Array; readonly dims: readonly number[] }
  | { readonly kind: 'score'; readonly score: number }
  | { readonly kind: 'entities'; readonly entities: readonly WireEntity[] }
  | { readonly kind: 'tensors'; readonly tensors: Readonly<Record<string, WireTensor>> };

export interface WireEntity {
  readonly label: number;
  readonly score: number;
  readonly start: number;
  readonly end: number;
  readonly word: string;
}
