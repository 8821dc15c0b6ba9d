/**
 * Log probabilities of tokens as OpenAI tells them: to chat as a list of tokens, to legacy completions as lists side by side. The
 * lists are made as they are read, for they are a hundred times what is stored.
 */
import type { WireLogprobs } from '@shoal/contracts';
import { LazyList, shortest, type TokenTexts } from '@shoal/models';

/** What is told of a token that is all but impossible: JSON has no infinity. */
const VERY_UNLIKELY = -9999;

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** UTF-8; a token may be a part of a character. */
  readonly bytes: readonly number[] | null;
}

export interface ChatLogprobs {
  readonly content: Iterable<TokenLogprob & { readonly top_logprobs: readonly TokenLogprob[] }>;
  readonly refusal: null;
}

export interface CompletionLogprobs {
  readonly tokens: Iterable<string>;
  /** Null for the first token of an echoed prompt. */
  readonly token_logprobs: Iterable<number | null>;
  readonly top_logprobs: Iterable<Readonly<Record<string, number>> | null>;
  /** Where each token begins, in characters (code points) of the text. */
  readonly text_offset: Iterable<number>;
}

/** Tokens and how likely they were, the alternatives included. */
export interface LikelyTokens {
  readonly ids: Uint32Array;
  readonly logprobs: WireLogprobs;
}

export function chatLogprobs(texts: TokenTexts, { ids, logprobs }: LikelyTokens): ChatLogprobs {
  const told = (id: number, value: number): TokenLogprob => {
    const bytes = texts.bytesOf(id);
    return { token: lossy.decode(bytes), logprob: numberOf(value), bytes: [...bytes] };
  };
  const content = LazyList.of(ids.length, (n) => ({
    ...told(ids[n]!, logprobs.values[n]!),
    top_logprobs: Array.from(topIds(logprobs, n), (top, k) => told(top, logprobs.topValues[n * logprobs.top + k]!)),
  }));
  return { content, refusal: null };
}

/** `offset`: characters of the text before the first of the tokens. */
export function completionLogprobs(
  texts: TokenTexts,
  { ids, logprobs }: LikelyTokens,
  offset: number,
): CompletionLogprobs {
  return {
    tokens: LazyList.of(ids.length, (n) => nameOf(texts, ids[n]!)),
    token_logprobs: LazyList.of(ids.length, (n) => {
      const value = logprobs.values[n]!;
      return Number.isNaN(value) ? null : numberOf(value);
    }),
    top_logprobs: LazyList.of(ids.length, (n) => {
      const value = logprobs.values[n]!;
      if (Number.isNaN(value)) return null;
      // As OpenAI: the token itself is there whether or not it is among the likeliest.
      const tops = Array.from(topIds(logprobs, n), (top, k): [string, number] => [
        nameOf(texts, top),
        numberOf(logprobs.topValues[n * logprobs.top + k]!),
      ]);
      return Object.fromEntries([...tops, [nameOf(texts, ids[n]!), numberOf(value)]]);
    }),
    text_offset: new LazyList(function* () {
      let at = offset;
      for (const id of ids) {
        yield at;
        at += charactersOf(texts.bytesOf(id));
      }
    }),
  };
}

/** The lists of one behind those of the other. */
export function joined(first: CompletionLogprobs, second: CompletionLogprobs): CompletionLogprobs {
  return {
    tokens: behind(first.tokens, second.tokens),
    token_logprobs: behind(first.token_logprobs, second.token_logprobs),
    top_logprobs: behind(first.top_logprobs, second.top_logprobs),
    text_offset: behind(first.text_offset, second.text_offset),
  };
}

function behind<T>(first: Iterable<T>, second: Iterable<T>): LazyList<T> {
  return new LazyList(function* () {
    yield* first;
    yield* second;
  });
}

/** What follows the first `from` tokens. */
export function likelyFrom({ ids, logprobs }: LikelyTokens, from: number): LikelyTokens {
  const { values, top, topIds, topValues } = logprobs;
  return {
    ids: ids.subarray(from),
    logprobs: {
      values: values.subarray(from),
      top,
      topIds: topIds.subarray(from * top),
      topValues: topValues.subarray(from * top),
    },
  };
}

/** Characters (code points) that begin in these bytes of UTF-8. */
export function charactersOf(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if ((byte & 0xc0) !== 0x80) count += 1;
  return count;
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Tokens that are no whole characters have to differ as names of fields: OpenAI writes their bytes. */
function nameOf(texts: TokenTexts, id: number): string {
  const bytes = texts.bytesOf(id);
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

function topIds({ top, topIds: ids }: WireLogprobs, n: number): Uint32Array {
  return ids.subarray(n * top, (n + 1) * top);
}

function numberOf(logprob: number): number {
  return Number.isFinite(logprob) ? shortest(logprob) : VERY_UNLIKELY;
}
