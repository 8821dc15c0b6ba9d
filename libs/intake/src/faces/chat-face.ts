/** Answers as chat completions have them: messages, and deltas of messages. */
import type { TokenTexts } from '@shoal/models';
import { type Finish, likelyOf, type TextFace, type TextUsage } from './text-face.js';
import { type ChatLogprobs, chatLogprobs, type LikelyTokens } from './token-texts.js';

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly role: 'assistant'; readonly content: string; readonly refusal: null };
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: Finish;
    /** As vLLM tells it: the stop string or token of the caller's that ended the answer. */
    readonly stop_reason: string | number | null;
  }[];
  readonly usage: TextUsage;
}

export const CHAT: TextFace = {
  prefix: 'chatcmpl-',
  path: '/v1/chat/completions',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  deletedObject: 'chat.completion.deleted',

  choice: (index, answer, texts) => ({
    index,
    message: { role: 'assistant', content: answer.text, refusal: null },
    logprobs: logprobsOf(likelyOf(answer), texts),
    finish_reason: answer.finish,
    stop_reason: answer.stopped,
  }),

  opening: (index) => ({ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }),

  growth: (index, growth, texts) => ({
    index,
    delta: { content: growth.text },
    logprobs: logprobsOf(likelyOf(growth), texts),
    finish_reason: null,
  }),

  ending: (index, { finish, stopped }) => ({
    index,
    delta: {},
    logprobs: null,
    finish_reason: finish,
    stop_reason: stopped,
  }),
};

function logprobsOf(likely: LikelyTokens | null, texts: TokenTexts | undefined): ChatLogprobs | null {
  return likely && texts ? chatLogprobs(texts, likely) : null;
}
