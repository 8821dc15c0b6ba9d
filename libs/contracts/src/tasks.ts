/** Inputs, parameters and outputs of each task, as callers write and read them. */
import { z } from 'zod';
import { listUpTo, mapOf } from './bounded.js';
import { MAX_ITEMS } from './job.js';
import { POOLINGS } from './model.js';
import { listOf, requestObject, TokenIds } from './request.js';

/** Most labels or outputs that a request may name. */
const MAX_NAMES = 1000;
/** Most axes of a tensor. */
const MAX_RANK = 64;
/** Longest name of a graph's input. */
const MAX_NAME = 512;

const Text = z.string().min(1, 'must not be empty');
const truncate = z
  .boolean()
  .default(false)
  .describe(
    'True: a text that is longer than the model takes is cut; false: it is refused. A model may have `true` as its default.',
  );

/** `prompt_name` of a request. */
export const promptName = z
  .string()
  .optional()
  .meta({
    description:
      "Name of one of the model's prompts (its card has them), which is put before each text. Its default where left out; an empty name: none.",
    examples: ['query'],
  });

/** One text, a pair of texts, or token ids that are used as they are. */
export const TextInput = z
  .union(
    [
      Text.describe('A text.'),
      requestObject({
        text: Text.describe('The first text of a pair.'),
        text_pair: Text.optional().describe('The second text of a pair.'),
      }),
      requestObject({ tokens: TokenIds.describe("Token ids of the model's own vocabulary, used as they are.") }),
    ],
    { error: 'give a text, {text, text_pair} or {tokens}' },
  )
  .meta({ description: 'One item of a text task.', examples: ['Many small fish in one large shoal.'] });
export type TextInput = z.infer<typeof TextInput>;

export const TextClassificationParameters = requestObject({
  top_k: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many labels to tell, best first. All where left out.', examples: [3] }),
  function_to_apply: z
    .enum(['softmax', 'sigmoid', 'none'])
    .optional()
    .describe("What makes scores of the model's logits. As its configuration says where left out."),
  truncate,
}).describe('Parameters of text-classification.');
export type TextClassificationParameters = z.infer<typeof TextClassificationParameters>;
export type TextClassificationOutput = readonly { readonly label: string; readonly score: number }[];

export const FeatureExtractionParameters = requestObject({
  pooling: z
    .enum([...POOLINGS, 'none'])
    .optional()
    .describe('How the vectors of tokens become one; `none` gives them all. As the model was trained where left out.'),
  normalize: z.boolean().optional().describe('Whether vectors have length 1. As the model was trained where left out.'),
  dimensions: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many leading values of each vector to keep. All where left out.', examples: [64] }),
  prompt_name: promptName,
  truncate,
}).describe('Parameters of feature-extraction.');
export type FeatureExtractionParameters = z.infer<typeof FeatureExtractionParameters>;

export const RerankInput = requestObject({
  query: Text.meta({ description: 'What the documents are ranked for.', examples: ['What do fish breathe with?'] }),
  documents: listOf(Text, MAX_ITEMS, 'documents').meta({
    description: `The documents, up to ${MAX_ITEMS} in one job.`,
    examples: [['Fish breathe with gills.', 'Bread is baked.']],
  }),
}).describe('One item of rerank: a query and its documents.');
export type RerankInput = z.infer<typeof RerankInput>;
export const RerankParameters = requestObject({
  top_n: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many documents to tell, best first. All where left out.', examples: [3] }),
  return_documents: z.boolean().default(false).describe('Whether each result has the text of its document.'),
  function_to_apply: z
    .enum(['sigmoid', 'none'])
    .optional()
    .describe("What makes scores of the model's logits. As its configuration says where left out: sigmoid mostly."),
  prompt_name: promptName,
  truncate,
}).describe('Parameters of rerank.');
export type RerankParameters = z.infer<typeof RerankParameters>;
export type RerankOutput = readonly { readonly index: number; readonly score: number; readonly document?: string }[];

export const TokenClassificationParameters = requestObject({
  aggregation_strategy: z
    .enum(['none', 'simple', 'first', 'average', 'max'])
    .default('simple')
    .describe('How tokens become entities, by the names that transformers has for it; `none`: each token by itself.'),
  ignore_labels: listUpTo(z.string(), MAX_NAMES).default(['O']).describe('Labels that are no entity.'),
  truncate,
}).describe('Parameters of token-classification.');
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

const type = ElementType.optional().describe("The element type. The model's own where left out.");
const Shape = listUpTo(z.int().min(0), MAX_RANK).meta({
  description: 'The length of each axis.',
  examples: [[1, 3]],
});

/** Nested (or flat, with `shape`) numbers, booleans or strings; or base64 bytes with type and shape. */
export const TensorInput = z.union(
  [
    requestObject({
      type,
      shape: Shape.optional(),
      data: z
        .array(z.unknown())
        .meta({ description: 'The values, nested; or flat, where `shape` is given.', examples: [[[1, 2, 3]]] }),
    }),
    requestObject({
      type,
      shape: Shape,
      base64: z.base64().meta({ description: 'The bytes, little-endian.', examples: ['AACAPwAAAEAAAEBA'] }),
    }),
    z.array(z.unknown()).describe('Nested values.'),
    z.number().describe('One number.'),
    z.boolean().describe('One truth value.'),
    z.string().describe('One text or, of a 64-bit integer, its digits.'),
  ],
  { error: 'give nested numbers, {data, shape?, type?} or {base64, shape, type?}' },
);
export type TensorInput = z.infer<typeof TensorInput>;
export const TensorsInput = mapOf(TensorInput, MAX_NAMES, MAX_NAME).meta({
  description: "One item of tensors: the graph's inputs by name.",
  examples: [{ pixels: [[0, 0.5, 1]] }],
});
export const TensorsParameters = requestObject({
  outputs: listOf(z.string(), MAX_NAMES, 'names')
    .optional()
    .describe('Names of the outputs to tell. All where left out.'),
  encoding: z
    .enum(['json', 'base64'])
    .default('json')
    .describe('How outputs are written: nested numbers, or bytes in base64.'),
}).describe('Parameters of tensors.');
export type TensorsParameters = z.infer<typeof TensorsParameters>;
