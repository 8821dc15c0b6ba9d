/** `POST /v1/completions`, the legacy way to ask: prompts that are used as they are. */
import { z } from 'zod';
import { MAX_ITEMS } from './job.js';
import { generationFields, MOST_LOGPROBS, openObject, unsupported } from './openai-generation.js';
import { textsOrTokens } from './openai-inputs.js';

/** As OpenAI has it. */
const MAX_TOKENS = 16;

export const completionFields = {
  ...generationFields,
  prompt: textsOrTokens(MAX_ITEMS, {
    description: `A text, up to ${MAX_ITEMS} texts, a token array, or up to ${MAX_ITEMS} token arrays.`,
    examples: ['Many small fish', ['Many small fish', 'in one large shoal'], [7, 8, 9], [[7, 8], [9]]],
  }),
  max_tokens: z
    .int()
    .min(0)
    .default(MAX_TOKENS)
    .describe(`Tokens of each answer at most, ${MAX_TOKENS} where left out; 0 only with \`echo\`.`),
  logprobs: z
    .int()
    .min(0)
    .max(MOST_LOGPROBS.completions)
    .optional()
    .describe('Alternatives of each token, with log probabilities; none at all where left out.'),
  echo: z.boolean().default(false).describe('Whether each answer begins with its prompt. Not in streams.'),
  best_of: z.int().min(1).optional().describe('Only as `n`: every answer is given.'),
  suffix: unsupported('texts go on at their end only'),
} as const;

export const CompletionRequest = openObject(completionFields)
  .refine(({ max_tokens, echo }) => max_tokens > 0 || echo, { path: ['max_tokens'], message: '0 needs "echo": true' })
  .refine(({ stream, echo }) => !(stream && echo), { path: ['echo'], message: 'is not supported in streams' })
  .refine(({ best_of, n }) => best_of === undefined || best_of === n, {
    path: ['best_of'],
    message: 'is not supported: every answer is given',
  })
  .refine(({ prompt, n }) => !Array.isArray(prompt) || prompt.length * n <= MAX_ITEMS, {
    path: ['n'],
    message: `the answers to all prompts are at most ${MAX_ITEMS}`,
  })
  .describe('Prompts to be gone on with.');
export type CompletionRequest = z.infer<typeof CompletionRequest>;
