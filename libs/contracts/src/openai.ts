/** `POST /v1/embeddings`, as OpenAI has it. */
import { z } from 'zod';
import { RequestedModel } from './job.js';
import { textsOrTokens } from './openai-inputs.js';
import { MaxAccuracyLoss } from './quality.js';
import { requestObject } from './request.js';
import { promptName } from './tasks.js';

/** Most inputs of one call, as OpenAI has it. */
export const MAX_EMBEDDINGS = 2048;

export const EmbeddingsRequest = requestObject({
  model: RequestedModel.meta({ description: 'The name of a model that embeds.', examples: ['wordnet-embed'] }),
  input: textsOrTokens(MAX_EMBEDDINGS, {
    description: `A text, up to ${MAX_EMBEDDINGS} texts, a token array, or up to ${MAX_EMBEDDINGS} token arrays.`,
    examples: ['Many small fish', ['Many small fish', 'in one large shoal'], [7, 8, 9], [[7, 8], [9]]],
  }),
  encoding_format: z
    .enum(['float', 'base64'])
    .default('float')
    .describe('How vectors are written: numbers, or little-endian float32 in base64.'),
  dimensions: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many leading values of each vector to keep. All where left out.', examples: [64] }),
  user: z.string().max(512).optional().describe('Taken for the sake of clients that send it; it changes nothing.'),
  max_accuracy_loss: MaxAccuracyLoss,
  prompt_name: promptName.describe(
    "Not OpenAI's. Name of one of the model's prompts (its card has them), which is put before each text. Its default where left out; an empty name: none.",
  ),
  truncate: z
    .boolean()
    .optional()
    .describe(
      "Not OpenAI's. True: a text that is longer than the model takes is cut; false, as where left out: it is refused. A model may have `true` as its default.",
    ),
});
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequest>;
