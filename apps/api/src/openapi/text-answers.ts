/** What chat and legacy completions answer with, by what OpenAI's API reference says of each field; see answers.ts. */
import { type ChatCompletion, type Completion } from '@shoal/intake';
import { z } from 'zod';
import type { Removed } from '../openai/text-calls.js';
import { Count } from './answers.js';

const head = (prefix: string) => ({
  id: z.string().startsWith(prefix).describe('Of the answer: the same in every event of a stream.'),
  created: z.int().describe('When it was asked for, in Unix seconds.'),
  model: z.string().describe('The model that was asked for.'),
  system_fingerprint: z.string().describe('Version and variant of the model.'),
});

const token = {
  token: z.string().describe('The token as text.'),
  logprob: z.number().describe('Natural logarithm of its probability; -9999: as good as impossible.'),
  bytes: z.array(z.int().min(0).max(255)).nullable().describe('The token as UTF-8: it may be a part of a character.'),
};
const ChatLogprobs = z.strictObject({
  content: z
    .array(
      z.strictObject({
        ...token,
        top_logprobs: z.array(z.strictObject(token)).describe('The likeliest tokens in its place.'),
      }),
    )
    .describe('Token by token.'),
  refusal: z.null().describe('Always null.'),
});
const CompletionLogprobs = z.strictObject({
  tokens: z.array(z.string()).describe('The tokens as texts.'),
  token_logprobs: z
    .array(z.number().nullable())
    .describe('How likely each was; null for the first of an echoed prompt.'),
  top_logprobs: z
    .array(z.record(z.string(), z.number()).nullable())
    .describe('The likeliest tokens in the place of each, and the token itself.'),
  text_offset: z.array(Count).describe('Where each begins, in characters (code points) of the text.'),
});

const Usage = z
  .strictObject({
    prompt_tokens: Count.describe('Tokens of all prompts, each counted once.'),
    completion_tokens: Count.describe(
      'Tokens of all answers, with the one that ended each of them where it was the model that did.',
    ),
    total_tokens: Count.describe('Both.'),
    prompt_tokens_details: z
      .strictObject({
        cached_tokens: Count.describe('Of each prompt, the tokens that none of its answers had to compute.'),
      })
      .describe('Of the prompts.'),
    completion_tokens_details: z
      .strictObject({
        reasoning_tokens: Count.describe('Always 0.'),
        accepted_prediction_tokens: Count.describe('Tokens that were guessed right.'),
        rejected_prediction_tokens: Count.describe('Tokens that were guessed in vain.'),
      })
      .describe('Of the answers.'),
  })
  .describe('What the call took.');

const index = Count.describe('Which answer, from 0.');
const promptedIndex = Count.describe('Which answer, from 0: number of the prompt × `n` + number of the answer.');
const Finish = z
  .enum(['stop', 'length'])
  .describe("`stop`: the model's end, or one of the caller's; `length`: neither came in time.");
const stop_reason = z
  .union([z.string(), z.number()])
  .nullable()
  .describe("The stop string or token that ended the answer; null where the model's own end did.");
const unfinished = {
  finish_reason: Finish.nullable().describe('Null until the last event of the answer.'),
  stop_reason: stop_reason.exactOptional().describe('With the last event of the answer.'),
};
const chatLogprobs = ChatLogprobs.nullable().describe('Null where `logprobs` is not asked for.');
const completionLogprobs = CompletionLogprobs.nullable().describe('Null where `logprobs` is not asked for.');
const usageOfStream = Usage.nullable()
  .exactOptional()
  .describe('With `include_usage`: null but for the last event, which has no choices.');

export const ChatCompletionSchema = z.strictObject({
  ...head('chatcmpl-'),
  object: z.literal('chat.completion').describe('What this is.'),
  choices: z
    .array(
      z.strictObject({
        index,
        message: z
          .strictObject({
            role: z.literal('assistant').describe('Who speaks.'),
            content: z.string().describe('The answer.'),
            refusal: z.null().describe('Always null.'),
          })
          .describe('The answer as a message.'),
        logprobs: chatLogprobs,
        finish_reason: Finish,
        stop_reason,
      }),
    )
    .describe('The answers.'),
  usage: Usage,
}) satisfies z.ZodType<ChatCompletion>;

export const ChatChunkSchema = z
  .strictObject({
    ...head('chatcmpl-'),
    object: z.literal('chat.completion.chunk').describe('What this is.'),
    choices: z
      .array(
        z.strictObject({
          index,
          delta: z
            .strictObject({
              role: z.literal('assistant').exactOptional().describe('With the first event of the answer.'),
              content: z.string().exactOptional().describe('What comes next.'),
            })
            .describe('What is new of the message.'),
          logprobs: chatLogprobs,
          ...unfinished,
        }),
      )
      .describe('One answer; none in the event with `usage`.'),
    usage: usageOfStream,
  })
  .describe('`data` of an event of a stream.');

export const CompletionSchema = z.strictObject({
  ...head('cmpl-'),
  object: z.literal('text_completion').describe('What this is.'),
  choices: z
    .array(
      z.strictObject({
        index: promptedIndex,
        text: z.string().describe('The answer.'),
        logprobs: completionLogprobs,
        finish_reason: Finish,
        stop_reason,
      }),
    )
    .describe('The answers.'),
  usage: Usage,
}) satisfies z.ZodType<Completion>;

export const CompletionChunkSchema = z
  .strictObject({
    ...head('cmpl-'),
    object: z.literal('text_completion').describe('What this is.'),
    choices: z
      .array(
        z.strictObject({
          index: promptedIndex,
          text: z.string().describe('What comes next.'),
          logprobs: completionLogprobs,
          ...unfinished,
        }),
      )
      .describe('One answer; none in the event with `usage`.'),
    usage: usageOfStream,
  })
  .describe('`data` of an event of a stream.');

export const RemovedSchema = z.strictObject({
  id: z.string().describe('What was erased.'),
  object: z.string().describe('`chat.completion.deleted` or `text_completion.deleted`.'),
  deleted: z.literal(true).describe('It is.'),
}) satisfies z.ZodType<Removed>;
