/**
 * The beginning or the end of a long text that has all the tokens a model can take. A text of 2 MB is half a million tokens and
 * some 200 MB while it is tokenised, and a model takes a few hundred of them.
 */
import { MAX_TEXT } from './tokenizer.js';

/** Texts up to this length, in UTF-16 units per token, are taken whole: most have four to five. */
const UNITS_PER_TOKEN = 8;
const LEAST_UNITS = 4096;
/** How many times longer the next beginning is, where one has too few tokens (spaces; words that are one token each). */
const GROWTH = 4;
/** Where a text is cut its last tokens may be others: WordPiece takes words of up to 100 characters apart, and no longer. */
const MARGIN_TOKENS = 256;

/** Lengths to try, longest last; that of the longest text that is tokenised is among them, before texts that are not. */
function* lengthsBelow(whole: number, maxTokens: number): Generator<number> {
  let length = Math.min(MAX_TEXT, Math.max(LEAST_UNITS, maxTokens * UNITS_PER_TOKEN));
  while (length < whole) {
    yield length;
    if (length === MAX_TEXT) return;
    length = Math.min(MAX_TEXT, length * GROWTH);
  }
}

/** `count` counts a text's tokens. What comes after the beginning cannot change its first `maxTokens`. */
export async function prefixOf(
  text: string,
  maxTokens: number,
  count: (text: string) => Promise<number>,
): Promise<string> {
  for (const length of lengthsBelow(text.length, maxTokens)) {
    const prefix = text.slice(0, isHighSurrogate(text.charCodeAt(length - 1)) ? length - 1 : length);
    if ((await count(prefix)) >= maxTokens + MARGIN_TOKENS) return prefix;
  }
  return text;
}

/** The end of it: what comes before cannot change its last `maxTokens`. */
export async function suffixOf(
  text: string,
  maxTokens: number,
  count: (text: string) => Promise<number>,
): Promise<string> {
  for (const length of lengthsBelow(text.length, maxTokens)) {
    const from = text.length - length;
    const suffix = text.slice(isHighSurrogate(text.charCodeAt(from - 1)) ? from + 1 : from);
    if ((await count(suffix)) >= maxTokens + MARGIN_TOKENS) return suffix;
  }
  return text;
}

/** The first half of a character beyond U+FFFF. */
function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
