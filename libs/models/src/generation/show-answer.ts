/** A generated text as callers see it. */
import type { GeneratedAnswer, GeneratedText, GenerationSettings, ShownToken, WireLogprobs } from '@shoal/contracts';
import { LazyList } from '../lazy-list.js';
import { shortest } from '../numbers/shortest.js';
import type { TokenTexts } from '../text/token-texts.js';

/** What is told of a token that is all but impossible, as OpenAI does: JSON has no infinity. */
const VERY_UNLIKELY = -9999;

/** Tokens and alternatives that are shown at once; longer lists are made as they are read, at a hundred times what is stored. */
const EAGER_TOKENS = 1024;

/** `tokens`: null where there is no tokenizer, and with it no text of single tokens. */
export function showAnswer(
  { ids, text, finish, stopped, cachedTokens, logprobs, promptIds, promptLogprobs }: GeneratedText,
  { skip_special_tokens }: Pick<GenerationSettings, 'skip_special_tokens'>,
  tokens: TokenTexts | null,
): GeneratedAnswer {
  const prompt = promptIds === undefined || tokens === null ? '' : tokens.textOf(promptIds, skip_special_tokens);
  return {
    text: prompt + text,
    finish_reason: finish,
    stop_reason: stopped,
    tokens: { cached: cachedTokens, completion: ids.length },
    ...(logprobs && { logprobs: showLogprobs(ids, logprobs, tokens) }),
    ...(promptIds && promptLogprobs && { prompt_logprobs: showLogprobs(promptIds, promptLogprobs, tokens) }),
  };
}

function showLogprobs(ids: Uint32Array, { values, top, topIds, topValues }: WireLogprobs, tokens: TokenTexts | null) {
  const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
  const show = (id: number, value: number) => ({
    id,
    token: tokens === null ? '' : lossy.decode(tokens.bytesOf(id)),
    logprob: Number.isNaN(value) ? null : Number.isFinite(value) ? shortest(value) : VERY_UNLIKELY,
  });
  const list = LazyList.of(ids.length, (n): ShownToken => {
    const places = Number.isNaN(values[n]) ? [] : Array.from({ length: top }, (_, k) => n * top + k);
    return { ...show(ids[n]!, values[n]!), top: places.map((at) => show(topIds[at]!, topValues[at]!)) };
  });
  return values.length + topValues.length > EAGER_TOKENS ? list : [...list];
}
