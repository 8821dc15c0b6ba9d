/** Answers that PyTorch gave, requests for texts by OpenAI's client, and where two answers part. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { ROOT } from './processes.js';

/** The nearest alternatives that answers tell of each token. */
const ALTERNATIVES = 2;

export interface ReferenceText {
  readonly prompt: string;
  /** Of 40 tokens at most, without the one that ends it. */
  readonly greedy_text: string;
}

export interface Answer {
  readonly text: string;
  readonly finish: string | null;
  readonly tokens: readonly OpenAI.ChatCompletionTokenLogprob[];
}

export type TextRequest = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'>;

/** Tells the alternatives of each token. */
export const WITH_ALTERNATIVES = { logprobs: true, top_logprobs: ALTERNATIVES } as const;

/** `folder`: below test/fixtures. */
export function readReference(folder: string): readonly ReferenceText[] {
  const text = readFileSync(join(ROOT, 'test/fixtures', folder, 'reference.json'), 'utf8');
  return (JSON.parse(text) as { greedy: readonly ReferenceText[] }).greedy;
}

export function openClient(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
}

/** Not as it grows. */
export async function whole(client: OpenAI, request: TextRequest): Promise<Answer> {
  const { choices } = await client.chat.completions.create(request);
  const { message, finish_reason: finish, logprobs } = choices[0]!;
  return { text: message.content ?? '', finish, tokens: logprobs?.content ?? [] };
}

/**
 * Where two answers part: how near the two likeliest tokens were there, in log probabilities of the first answer. Null where
 * they do not part; NaN where the text differs and no token does, or one answer is only the beginning of the other.
 */
export function partingOf(first: Answer, second: Answer): number | null {
  const at = first.tokens.findIndex(({ token }, n) => token !== second.tokens[n]?.token);
  if (at < 0) return first.text === second.text && first.tokens.length === second.tokens.length ? null : Number.NaN;
  const [likeliest, next] = first.tokens[at]!.top_logprobs;
  return likeliest!.logprob - next!.logprob;
}
