/** One answer of each kind to chat and legacy completions. */
import { type ChatCompletion, type Completion, type TextUsage } from '@shoal/intake';
import type { Removed } from '../openai/text-calls.js';

const JOB = 'my-generator.1.fp32.0.01m83zn5fqbsmkqgj7c913jd4z';
const USAGE: TextUsage = {
  prompt_tokens: 12,
  completion_tokens: 4,
  total_tokens: 16,
  prompt_tokens_details: { cached_tokens: 8 },
  completion_tokens_details: { reasoning_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
};
const HEAD = { created: 1_767_605_400, model: 'my-generator', system_fingerprint: '1-fp32' };
const ENDED = { finish_reason: 'stop', stop_reason: null } as const;

const CHAT: ChatCompletion = {
  ...HEAD,
  id: `chatcmpl-${JOB}`,
  object: 'chat.completion',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'In shoals.', refusal: null }, logprobs: null, ...ENDED },
  ],
  usage: USAGE,
};
const CHAT_CHUNK = {
  ...HEAD,
  id: CHAT.id,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'In' }, logprobs: null, finish_reason: null }],
} as const;

const COMPLETION: Completion = {
  ...HEAD,
  id: `cmpl-${JOB}`,
  object: 'text_completion',
  choices: [{ index: 0, text: ' in shoals.', logprobs: null, ...ENDED }],
  usage: USAGE,
};
const COMPLETION_CHUNK = {
  ...HEAD,
  id: COMPLETION.id,
  object: 'text_completion',
  choices: [{ index: 0, text: ' in', logprobs: null, finish_reason: null }],
} as const;

const REMOVED: Removed = { id: CHAT.id, object: 'chat.completion.deleted', deleted: true };

export const TEXT_EXAMPLES = {
  ChatCompletion: CHAT,
  ChatCompletionChunk: CHAT_CHUNK,
  Completion: COMPLETION,
  CompletionChunk: COMPLETION_CHUNK,
  Removed: REMOVED,
} as const;

export const TEXT_EVENTS = `data: ${JSON.stringify(CHAT_CHUNK)}

data: [DONE]
`;
