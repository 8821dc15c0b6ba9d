/** The shapes of OpenAI's API that Shoal answers to. */
import { z } from 'zod';
import { RequestedModel } from './job.js';
import { requestObject, tokenFault } from './request.js';

/** Most inputs of one call, as OpenAI has it. */
export const MAX_EMBEDDINGS = 2048;

const INPUT_FAULT = `give a text, a token array, or an array of 1 to ${MAX_EMBEDDINGS} of either`;
const EMPTY_FAULT = 'must not be empty';

/** One text or one token array of an embeddings call. */
export type EmbeddingInput = string | { readonly tokens: readonly number[] };

/** By hand: a union of schemas would look at a list of a million numbers as texts first, and tell a million faults. */
const EmbeddingInputs = z
  .unknown()
  .transform((input, context): EmbeddingInput | readonly EmbeddingInput[] => {
    const fault = (message: string, path: number[] = []) => {
      context.addIssue({ code: 'custom', message, path });
      return z.NEVER;
    };
    if (input === undefined) return fault('required');
    const many = Array.isArray(input) && typeof input[0] !== 'number';
    const entries: readonly unknown[] = many ? input : [input];
    if (entries.length === 0 || entries.length > MAX_EMBEDDINGS) return fault(INPUT_FAULT);
    const read: EmbeddingInput[] = [];
    for (const [index, entry] of entries.entries()) {
      const at = many ? [index] : [];
      if (entry === '') return fault(EMPTY_FAULT, at);
      if (typeof entry === 'string') {
        read.push(entry);
      } else if (Array.isArray(entry)) {
        const wrong = tokenFault(entry);
        if (wrong !== null) return fault(wrong.message, [...at, ...wrong.path]);
        read.push({ tokens: entry as number[] });
      } else {
        return fault(INPUT_FAULT, at);
      }
    }
    return many ? read : read[0]!;
  })
  .meta({
    description: `A text, up to ${MAX_EMBEDDINGS} texts, a token array, or up to ${MAX_EMBEDDINGS} token arrays.`,
    examples: ['Many small fish', ['Many small fish', 'in one large shoal'], [7, 8, 9], [[7, 8], [9]]],
    anyOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', minItems: 1, maxItems: MAX_EMBEDDINGS, items: { type: 'string', minLength: 1 } },
      { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
      {
        type: 'array',
        minItems: 1,
        maxItems: MAX_EMBEDDINGS,
        items: { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
      },
    ],
  });

/** `POST /v1/embeddings`. */
export const EmbeddingsRequest = requestObject({
  model: RequestedModel.meta({ description: 'The name of a model that embeds.', examples: ['wordnet-embed'] }),
  input: EmbeddingInputs,
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
  truncate: z
    .boolean()
    .optional()
    .describe(
      "Not OpenAI's. True: a text that is longer than the model takes is cut; false, as where left out: it is refused. A model may have `true` as its default.",
    ),
});
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequest>;
