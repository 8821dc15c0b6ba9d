/** Reranking as clients of Cohere and Jina ask for it (`documents`), and those of text-embeddings-inference (`texts`). */
import { z } from 'zod';
import { MAX_ITEMS, RequestedModel } from './job.js';
import { MaxAccuracyLoss } from './quality.js';
import { listOf, requestObject } from './request.js';

const Text = z.string().min(1, 'must not be empty');
const query = Text.meta({
  description: 'What the documents are ranked for.',
  examples: ['What do fish breathe with?'],
});
const model = RequestedModel.meta({
  description: 'The name of a model that reranks. May be left out where there is only one.',
  examples: ['bge-reranker-base'],
}).optional();
const DOCUMENTS = ['Fish breathe with gills.', 'Bread is baked.'];

/** A document is a text, or an object that has one; its other fields do not count. */
const Document = z
  .union([Text, z.object({ text: Text }).transform(({ text }) => text)], { error: 'give a text or {text}' })
  .meta({
    anyOf: [
      { type: 'string', minLength: 1 },
      { type: 'object', required: ['text'] },
    ],
  });

/** As Cohere and Jina do, texts that are too long are cut unless the request says otherwise. */
export const RerankRequest = requestObject({
  model,
  max_accuracy_loss: MaxAccuracyLoss,
  query,
  documents: listOf(Document, MAX_ITEMS, 'documents').meta({
    description: `Up to ${MAX_ITEMS} documents: texts, or objects with a \`text\`.`,
    examples: [DOCUMENTS],
  }),
  top_n: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many to tell, best first. All where left out.', examples: [3] }),
  return_documents: z.boolean().default(false).describe('Whether each result has its document, as `{text}`.'),
  truncate: z
    .boolean()
    .default(true)
    .describe('True: a query and document that are longer than the model takes are cut; false: they are refused.'),
}).describe('As Cohere and Jina take it.');
export type RerankRequest = z.infer<typeof RerankRequest>;

export const TextsRerankRequest = requestObject({
  model,
  max_accuracy_loss: MaxAccuracyLoss,
  query,
  texts: listOf(Text, MAX_ITEMS, 'texts').meta({ description: `Up to ${MAX_ITEMS} documents.`, examples: [DOCUMENTS] }),
  raw_scores: z.boolean().default(false).describe("True: the model's logits; false: scores from 0 to 1."),
  return_text: z.boolean().default(false).describe('Whether each result has its text.'),
  truncate: z
    .boolean()
    .default(false)
    .describe('True: a query and text that are longer than the model takes are cut; false: they are refused.'),
  truncation_direction: z
    .enum(['right', 'Right'], { error: 'texts are cut on the right only' })
    .optional()
    .describe('On which side they are cut.'),
}).describe('As text-embeddings-inference takes it.');
export type TextsRerankRequest = z.infer<typeof TextsRerankRequest>;
