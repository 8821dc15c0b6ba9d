/** Text generation: what callers send of it, and the settings that come of it, which workers read. */
import { z } from 'zod';
import { listUpTo, mapOf } from './bounded.js';
import { listOf, requestObject, TokenIds } from './request.js';

/** As OpenAI has it. */
export const MAX_CHOICES = 128;
export const MAX_STOPS = 4;
/** Alternatives of a token that a caller may ask for. */
export const MAX_TOP_LOGPROBS = 20;
/** Tokens whose likeliness a caller may change. */
const MAX_BIASES = 1024;
const MAX_STOP_LENGTH = 1024;
const MAX_MESSAGES = 4096;
const MAX_TOOLS = 256;

/** Text of a message: one, or parts that belong together. */
const Content = z.union(
  [
    z.string(),
    listUpTo(
      requestObject({ type: z.literal('text').describe('What it is.'), text: z.string().describe('The text.') }),
      MAX_MESSAGES,
    ),
  ],
  { error: 'give a text, or a list of {"type": "text", "text"} parts' },
);

/** One turn of a conversation; what a template makes of further fields is its own business. */
export const ChatMessage = z.looseObject({
  role: z
    .string()
    .min(1)
    .max(64)
    .describe('Who speaks: `system`, `user`, `assistant`, `tool`, as the template knows them.'),
  content: Content.nullish().describe('What is said.'),
});
export type ChatMessage = z.infer<typeof ChatMessage>;

/** A conversation, as the model's chat template renders it. */
export const Conversation = requestObject({
  messages: listOf(ChatMessage, MAX_MESSAGES, 'messages').describe('The turns so far.'),
  tools: listUpTo(z.record(z.string(), z.unknown()), MAX_TOOLS)
    .optional()
    .describe('Functions that the model may ask for, for templates that know them.'),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional().describe('Further values for the template.'),
  add_generation_prompt: z
    .boolean()
    .optional()
    .describe('Whether the answer is a new turn. True where left out, unless the last message is continued.'),
  continue_final_message: z.boolean().optional().describe('Whether the answer goes on with the last message.'),
});
export type Conversation = z.infer<typeof Conversation>;

/** A prompt that is used as it is, token ids, or a conversation. */
export const TextGenerationInput = z.union(
  [
    z.string().min(1, 'must not be empty'),
    requestObject({ tokens: TokenIds.describe("Token ids of the model's own vocabulary, used as they are.") }),
    Conversation,
  ],
  { error: 'give a text, {tokens} or {messages}' },
);
export type TextGenerationInput = z.infer<typeof TextGenerationInput>;

const penalty = z.number().min(-2).max(2).default(0);

export const TextGenerationParameters = requestObject({
  max_tokens: z
    .int()
    .min(0)
    .optional()
    .describe(
      'Tokens of the answer at most. As many as the context and the result of a job leave room for where left out.',
    ),
  min_tokens: z.int().min(0).default(0).describe('No answer ends before it has so many tokens.'),
  n: z.int().min(1).max(MAX_CHOICES).default(1).describe('Answers to each prompt.'),
  temperature: z.number().min(0).max(2).default(1).describe('0: always the likeliest token.'),
  top_p: z.number().gt(0).max(1).default(1).describe('Only the likeliest tokens whose probabilities reach this sum.'),
  top_k: z.int().min(-1).default(0).describe('0 or -1: all.'),
  min_p: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('Only tokens that are at least this share as likely as the likeliest.'),
  frequency_penalty: penalty.describe('How much less likely a token gets with each time that the answer has it.'),
  presence_penalty: penalty.describe('How much less likely a token gets once the answer has it.'),
  repetition_penalty: z
    .number()
    .gt(0)
    .max(2)
    .default(1)
    .describe('Above 1: tokens that prompt or answer has are less likely.'),
  logit_bias: mapOf(z.number().min(-100).max(100), MAX_BIASES, 9)
    .optional()
    .describe('By token id: what is added to the logits before a token is chosen.'),
  seed: z.int().optional().describe('The same seed gives the same answer. Drawn where left out.'),
  stop: z
    .union([z.string().min(1).max(MAX_STOP_LENGTH), listUpTo(z.string().min(1).max(MAX_STOP_LENGTH), MAX_STOPS)])
    .optional()
    .describe('The text ends before any of these.'),
  stop_token_ids: listUpTo(z.int().min(0), MAX_BIASES).optional().describe('The text ends with any of these tokens.'),
  include_stop_str_in_output: z
    .boolean()
    .default(false)
    .describe('Whether the text ends with the stop string that ended it.'),
  ignore_eos: z.boolean().default(false).describe('Whether the text goes on where the model would end it.'),
  skip_special_tokens: z.boolean().default(true).describe('Whether special tokens are left out of the text.'),
  logprobs: z
    .int()
    .min(0)
    .max(MAX_TOP_LOGPROBS)
    .optional()
    .describe('Alternatives of each token, with log probabilities. None at all where left out.'),
  echo: z.boolean().default(false).describe('Whether the answer begins with the prompt.'),
  prediction: z
    .string()
    .min(1)
    .optional()
    .describe('What the answer is likely to be, such as a text to be edited: what of it is right comes faster.'),
  truncate: z
    .boolean()
    .default(false)
    .describe(
      'True: a prompt that is too long loses its beginning; false: it is refused. A model may have `true` as its default.',
    ),
});
export type TextGenerationParameters = z.infer<typeof TextGenerationParameters>;

/** `JobMeta.parameters` of a job: everything resolved, so that an answer that goes on elsewhere is the same answer. */
export interface GenerationSettings {
  /** Of an answer; less where the context leaves less behind its prompt. */
  readonly max_tokens: number;
  readonly min_tokens: number;
  readonly n: number;
  readonly temperature: number;
  readonly top_p: number;
  /** 0: all. */
  readonly top_k: number;
  readonly min_p: number;
  readonly frequency_penalty: number;
  readonly presence_penalty: number;
  readonly repetition_penalty: number;
  readonly logit_bias: readonly (readonly [id: number, bias: number])[];
  /** From 0 to 2³² − 1. */
  readonly seed: number;
  readonly stop: readonly string[];
  /** The caller's; those of the model end a text too, unless `ignore_eos`. */
  readonly stop_token_ids: readonly number[];
  readonly include_stop_str_in_output: boolean;
  readonly ignore_eos: boolean;
  readonly skip_special_tokens: boolean;
  /** Alternatives of each token; null: no log probabilities. */
  readonly logprobs: number | null;
  readonly echo: boolean;
}

/** A token of a prompt or answer, and the likeliest ones in its place. */
export interface ShownToken extends LikelyToken {
  readonly top: readonly LikelyToken[];
}

export interface LikelyToken {
  readonly id: number;
  /** Its text; a token may be a part of a character. */
  readonly token: string;
  /** Natural logarithm of its probability; null for the first token of a prompt. */
  readonly logprob: number | null;
}

/** What is shown of one answer. */
export interface GeneratedAnswer {
  /** Behind the prompt, where it is echoed. */
  readonly text: string;
  readonly finish_reason: 'stop' | 'length';
  /** The stop string or token of the caller's that ended it. */
  readonly stop_reason: string | number | null;
  /** Of the prompt, those that were not computed again; and all of the answer. */
  readonly tokens: { readonly cached: number; readonly completion: number };
  readonly logprobs?: Iterable<ShownToken>;
  readonly prompt_logprobs?: Iterable<ShownToken>;
}
