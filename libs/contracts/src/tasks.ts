/** Inputs, parameters and outputs of each task, as callers write and read them. */
import { z } from 'zod';
import { listUpTo, mapOf } from './bounded.js';
import { MAX_ITEMS } from './job.js';
import { listOf, TokenIds } from './request.js';

const Text = z.string().min(1, 'must not be empty');
/** Most names of a list or map, labels and inputs or outputs of a graph, and the longest. */
const MAX_NAMES = 1000;
const MAX_NAME = 512;
const MAX_RANK = 64;
const Shape = listUpTo(z.int().min(0), MAX_RANK);
const truncate = z.boolean().default(false);

/** One text, a pair of texts, or token ids that are used as they are. */
export const TextInput = z.union(
  [Text, z.strictObject({ text: Text, text_pair: Text.optional() }), z.strictObject({ tokens: TokenIds })],
  { error: 'give a text, {text, text_pair} or {tokens}' },
);
export type TextInput = z.infer<typeof TextInput>;

export const TextClassificationParameters = z.strictObject({
  top_k: z.int().min(1).optional(),
  function_to_apply: z.enum(['softmax', 'sigmoid', 'none']).optional(),
  truncate,
});
export type TextClassificationParameters = z.infer<typeof TextClassificationParameters>;
export type TextClassificationOutput = readonly { readonly label: string; readonly score: number }[];

export const FeatureExtractionParameters = z.strictObject({
  pooling: z.enum(['mean', 'cls', 'last', 'none']).optional(),
  normalize: z.boolean().optional(),
  dimensions: z.int().min(1).optional(),
  truncate,
});
export type FeatureExtractionParameters = z.infer<typeof FeatureExtractionParameters>;

export const RerankInput = z.strictObject({ query: Text, documents: listOf(Text, MAX_ITEMS, 'documents') });
export type RerankInput = z.infer<typeof RerankInput>;
export const RerankParameters = z.strictObject({
  top_n: z.int().min(1).optional(),
  return_documents: z.boolean().default(false),
  function_to_apply: z.enum(['sigmoid', 'none']).default('sigmoid'),
  truncate,
});
export type RerankParameters = z.infer<typeof RerankParameters>;
export type RerankOutput = readonly { readonly index: number; readonly score: number; readonly document?: string }[];

export const TokenClassificationParameters = z.strictObject({
  aggregation_strategy: z.enum(['none', 'simple', 'first', 'average', 'max']).default('simple'),
  ignore_labels: listUpTo(z.string(), MAX_NAMES).default(['O']),
  truncate,
});
export type TokenClassificationParameters = z.infer<typeof TokenClassificationParameters>;
export interface TokenClassificationEntity {
  readonly label: string;
  readonly score: number;
  /** The text between `start` and `end`. */
  readonly word: string;
  /** Offsets in UTF-16 code units, as JavaScript's `slice` takes them. */
  readonly start: number;
  readonly end: number;
}

/** Element types, by ONNX's names; base64 data is little-endian; 64-bit integers are strings in JSON. */
export const ELEMENT_TYPES = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
] as const;
export const ElementType = z.enum(ELEMENT_TYPES);
export type ElementType = z.infer<typeof ElementType>;

/** Nested (or flat, with `shape`) numbers, booleans or strings; or base64 bytes with type and shape. */
export const TensorInput = z.union(
  [
    z.strictObject({
      type: ElementType.optional(),
      shape: Shape.optional(),
      data: z.array(z.unknown()),
    }),
    z.strictObject({ type: ElementType.optional(), shape: Shape, base64: z.base64() }),
    z.array(z.unknown()),
    z.number(),
    z.boolean(),
    z.string(),
  ],
  { error: 'give nested numbers, {data, shape?, type?} or {base64, shape, type?}' },
);
export type TensorInput = z.infer<typeof TensorInput>;
export const TensorsInput = mapOf(TensorInput, MAX_NAMES, MAX_NAME);
export const TensorsParameters = z.strictObject({
  outputs: listOf(z.string(), MAX_NAMES, 'names').optional(),
  encoding: z.enum(['json', 'base64']).default('json'),
});
export type TensorsParameters = z.infer<typeof TensorsParameters>;
