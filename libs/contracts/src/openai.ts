/** The shapes of OpenAI's API that Shoal answers to. */
import { z } from 'zod';
import { MAX_ITEMS } from './job.js';
import { ModelName } from './model.js';
import { listOf, TokenIds } from './request.js';

/** `POST /v1/embeddings`. */
export const EmbeddingsRequest = z.strictObject({
  model: ModelName,
  input: z.union([z.string().min(1), listOf(z.string().min(1), MAX_ITEMS), TokenIds, listOf(TokenIds, MAX_ITEMS)], {
    error: `give a string, up to ${MAX_ITEMS} strings, a token array or up to ${MAX_ITEMS} token arrays`,
  }),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  dimensions: z.int().min(1).optional(),
  user: z.string().max(512).optional(),
});
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequest>;
