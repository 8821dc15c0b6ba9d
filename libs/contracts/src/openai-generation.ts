/** What chat and legacy completions share: the fields of OpenAI's, and those that clients of vLLM and llama.cpp send beside them. */
import { z } from 'zod';
import { listUpTo, mapOf } from './bounded.js';
import { MAX_CHOICES, MAX_STOPS, MAX_TOP_LOGPROBS } from './generation.js';
import { RequestedModel } from './job.js';
import { MaxAccuracyLoss } from './quality.js';
import { requestObject, withoutNulls } from './request.js';

const MAX_STOP_LENGTH = 1024;
const MAX_TOKEN_LIST = 1024;
const NO_EFFECT = 'Taken for the sake of clients that send it; it changes nothing.';

const penalty = z.number().min(-2).max(2).optional();

/** A field that changes nothing here. */
export const ignored = z.unknown().optional().describe(NO_EFFECT);

/** A field that means something that is not done: leaving it out unseen would give an answer that nobody asked for. */
export function unsupported(why: string) {
  return z
    .undefined({ error: `is not supported: ${why}` })
    .optional()
    .describe(`Not supported: ${why}.`);
}

/** An object of a caller's whose further fields are passed over; null counts as left out, as in `requestObject`. */
export function openObject<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(withoutNulls, z.object(shape));
}

/** How many fields of a body the contract does not know. */
export function countUnknown(shape: z.ZodRawShape, body: object): number {
  return Object.keys(body).filter((name) => !Object.hasOwn(shape, name)).length;
}

export const StreamOptions = openObject({
  include_usage: z
    .boolean()
    .default(false)
    .describe('Whether the last event before `[DONE]` tells what the call took.'),
  include_obfuscation: ignored,
});

const STRUCTURE = 'answers have the form that the model gives them';

export const generationFields = {
  model: RequestedModel.meta({ description: 'The name of a model that generates text.', examples: ['smollm2-135m'] }),
  max_accuracy_loss: MaxAccuracyLoss,
  stream: z.boolean().default(false).describe('Whether the answer comes as it grows, as server-sent events.'),
  stream_options: StreamOptions.optional().describe('Of a stream.'),
  store: z
    .boolean()
    .default(false)
    .describe(
      'True: the answer goes on when its caller hangs up, and is kept as a job is; it can be read, and a stream resumed, under its id.',
    ),
  metadata: mapOf(z.string().max(512), 16, 64).optional().describe('Up to 16 texts of your own, kept with the job.'),
  n: z.int().min(1).max(MAX_CHOICES).default(1).describe('Answers to each prompt.'),
  temperature: z.number().min(0).max(2).optional().describe('0: always the likeliest token. 1 where left out.'),
  top_p: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe('Only the likeliest tokens that have so much of the probability together.'),
  top_k: z.int().min(-1).optional().describe('Only so many of the likeliest tokens; 0 or -1: all.'),
  min_p: z.number().min(0).max(1).optional().describe('Only tokens at least so likely, relative to the likeliest.'),
  frequency_penalty: penalty.describe('Makes tokens less likely for each time that they were there.'),
  presence_penalty: penalty.describe('Makes tokens less likely that were there.'),
  repetition_penalty: z
    .number()
    .gt(0)
    .max(2)
    .optional()
    .describe('Divides the scores of tokens of the prompt and the answer; 1: none.'),
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/, 'is no token id'), z.number().min(-100).max(100))
    .optional()
    .describe('Token id → what is added to its score.'),
  seed: z.int().optional().describe('The same seed gives the same answer. Drawn where left out.'),
  stop: z
    .union([z.string().min(1).max(MAX_STOP_LENGTH), listUpTo(z.string().min(1).max(MAX_STOP_LENGTH), MAX_STOPS)], {
      error: `give a text, or up to ${MAX_STOPS}, of 1 to ${MAX_STOP_LENGTH} characters each`,
    })
    .optional()
    .describe('Texts that end the answer; they are no part of it.'),
  stop_token_ids: listUpTo(z.int().min(0), MAX_TOKEN_LIST).optional().describe('Tokens that end the answer.'),
  include_stop_str_in_output: z.boolean().optional().describe('Whether the text that ended the answer is part of it.'),
  ignore_eos: z.boolean().optional().describe("Whether the answer goes on behind the model's own end."),
  min_tokens: z.int().min(0).optional().describe('No answer ends before it has so many tokens.'),
  skip_special_tokens: z.boolean().optional().describe('False: tokens that mark something are shown as text.'),
  priority: z
    .int()
    .default(0)
    .describe('How your calls stand among each other: below 0 comes before 0, and above 0 after it.'),
  user: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  service_tier: ignored,
  structured_outputs: unsupported(STRUCTURE),
  guided_json: unsupported(STRUCTURE),
  guided_regex: unsupported(STRUCTURE),
  guided_choice: unsupported(STRUCTURE),
  guided_grammar: unsupported(STRUCTURE),
} as const;

/** What sampling is asked for, under the names that the parameters of a job have as well. */
export const SAMPLING_FIELDS = [
  ...(['n', 'temperature', 'top_p', 'top_k', 'min_p', 'frequency_penalty', 'presence_penalty'] as const),
  ...(['repetition_penalty', 'logit_bias', 'seed', 'stop', 'stop_token_ids', 'include_stop_str_in_output'] as const),
  ...(['ignore_eos', 'min_tokens', 'skip_special_tokens'] as const),
] as const;

/** Most alternatives of a token that each of the two tells. */
export const MOST_LOGPROBS = { chat: MAX_TOP_LOGPROBS, completions: 5 } as const;

/** Text parts of a message or of a prediction; other kinds of parts are refused where they stand. */
export const TextParts = listUpTo(
  openObject({
    type: z
      .literal('text', { error: 'is not supported: only parts of type text are' })
      .describe('The only kind there is.'),
    text: z.string().describe('The text of the part.'),
  }),
  MAX_TOKEN_LIST,
);

/** Checked as a whole object of its own. */
export const ResponseFormat = requestObject({
  type: z.literal('text', { error: `is not supported: ${STRUCTURE}` }).describe('The only one there is.'),
});
