/** Answers as legacy completions have them: texts, with the prompt in front where it is echoed. */
import type { GeneratedText } from '@shoal/contracts';
import type { TokenTexts } from '@shoal/models';
import { type Finish, likelyOf, type TextFace, type TextUsage } from './text-face.js';
import { type CompletionLogprobs, charactersOf, completionLogprobs, joined } from './token-texts.js';

export interface Completion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly {
    /** Prompt × n + answer. */
    readonly index: number;
    readonly text: string;
    readonly logprobs: CompletionLogprobs | null;
    readonly finish_reason: Finish;
    readonly stop_reason: string | number | null;
  }[];
  readonly usage: TextUsage;
}

export const COMPLETION: TextFace = {
  prefix: 'cmpl-',
  path: '/v1/completions',
  object: 'text_completion',
  chunkObject: 'text_completion',
  deletedObject: 'text_completion.deleted',

  choice: (index, answer, texts, { skip_special_tokens }) => {
    const prompt = answer.promptIds && texts ? texts.textOf(answer.promptIds, skip_special_tokens) : '';
    return {
      index,
      text: prompt + answer.text,
      logprobs: texts ? wholeLogprobs(answer, prompt, texts) : null,
      finish_reason: answer.finish,
      stop_reason: answer.stopped,
    };
  },

  opening: () => null,

  growth: (index, growth, texts) => {
    const likely = likelyOf(growth);
    return {
      index,
      text: growth.text,
      logprobs: likely && texts ? completionLogprobs(texts, likely, growth.offset) : null,
      finish_reason: null,
    };
  },

  ending: (index, { finish, stopped }) => ({
    index,
    text: '',
    logprobs: null,
    finish_reason: finish,
    stop_reason: stopped,
  }),
};

function wholeLogprobs(answer: GeneratedText, prompt: string, texts: TokenTexts): CompletionLogprobs | null {
  const likely = likelyOf(answer);
  if (likely === null) return null;
  const made = completionLogprobs(texts, likely, charactersOf(Buffer.from(prompt)));
  const { promptIds, promptLogprobs } = answer;
  if (!promptIds || !promptLogprobs) return made;
  return joined(completionLogprobs(texts, { ids: promptIds, logprobs: promptLogprobs }, 0), made);
}
