/** Text generation: what callers send of it, and the settings that come of it, which workers read. */
import { z } from 'zod';
import { listUpTo } from './bounded.js';
import { requestObject, TokenIds } from './request.js';

/** As OpenAI has it. */
export const MAX_CHOICES = 128;
export const MAX_STOPS = 4;
/** Alternatives of a token that a caller may ask for. */
export const MAX_TOP_LOGPROBS = 20;
/** Tokens whose likeliness a caller may change. */
const MAX_BIASES = 1024;
const MAX_STOP_LENGTH = 1024;
const MAX_MESSAGES = 4096;

/** Text of a message: one, or parts that belong together. */
const Content = z.union(
  [z.string(), listUpTo(requestObject({ type: z.literal('text'), text: z.string() }), MAX_MESSAGES)],
  { error: 'give a text, or a list of {"type": "text", "text"} parts' },
);

/** One turn of a conversation; what a template makes of further fields is its own business. */
export const ChatMessage = z.looseObject({
  role: z.string().min(1).max(64),
  content: Content.nullish(),
});
export type ChatMessage = z.infer<typeof ChatMessage>;

/** A conversation, as the model's chat template renders it. */
export const Conversation = requestObject({
  messages: z.array(ChatMessage).min(1, 'give at least one message').max(MAX_MESSAGES),
  tools: z.array(z.record(z.string(), z.unknown())).max(256).optional(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
  add_generation_prompt: z.boolean().optional(),
  continue_final_message: z.boolean().optional(),
});
export type Conversation = z.infer<typeof Conversation>;

/** A prompt that is used as it is, token ids, or a conversation. */
export const TextGenerationInput = z.union(
  [z.string().min(1, 'must not be empty'), requestObject({ tokens: TokenIds }), Conversation],
  { error: 'give a text, {tokens} or {messages}' },
);
export type TextGenerationInput = z.infer<typeof TextGenerationInput>;

const penalty = z.number().min(-2).max(2).default(0);

export const TextGenerationParameters = requestObject({
  max_tokens: z
    .int()
    .min(0)
    .optional()
    .describe('Tokens of the answer at most. As many as the context leaves room for where left out.'),
  min_tokens: z.int().min(0).default(0).describe('No answer ends before it has so many tokens.'),
  n: z.int().min(1).max(MAX_CHOICES).default(1).describe('Answers to each prompt.'),
  temperature: z.number().min(0).max(2).default(1).describe('0: always the likeliest token.'),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.int().min(-1).default(0).describe('0 or -1: all.'),
  min_p: z.number().min(0).max(1).default(0),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  repetition_penalty: z.number().gt(0).max(2).default(1),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/, 'is no token id'), z.number().min(-100).max(100)).optional(),
  seed: z.int().optional().describe('The same seed gives the same answer. Drawn where left out.'),
  stop: z
    .union([z.string().min(1).max(MAX_STOP_LENGTH), listUpTo(z.string().min(1).max(MAX_STOP_LENGTH), MAX_STOPS)])
    .optional(),
  stop_token_ids: listUpTo(z.int().min(0), MAX_BIASES).optional(),
  include_stop_str_in_output: z.boolean().default(false),
  ignore_eos: z.boolean().default(false),
  skip_special_tokens: z.boolean().default(true),
  logprobs: z
    .int()
    .min(0)
    .max(MAX_TOP_LOGPROBS)
    .optional()
    .describe('Alternatives of each token, with log probabilities. None at all where left out.'),
  echo: z.boolean().default(false).describe('Whether the answer begins with the prompt.'),
  truncate: z.boolean().default(false),
});
export type TextGenerationParameters = z.infer<typeof TextGenerationParameters>;

/** `JobMeta.parameters` of a job: everything resolved, so that an answer that goes on elsewhere is the same answer. */
export interface GenerationSettings {
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

/** What is shown of one answer. */
export interface GeneratedAnswer {
  readonly text: string;
  readonly finish_reason: 'stop' | 'length';
  readonly stop_reason: string | number | null;
  readonly tokens: { readonly prompt: number; readonly cached: number; readonly completion: number };
}
