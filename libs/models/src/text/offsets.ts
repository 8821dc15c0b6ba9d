/** Where tokens stand in their text, in JavaScript's units. */
import type { TextItem } from '@shoal/contracts';
import type { Encoding } from './tokenizer.js';

/** The text, two UTF-16 offsets per token without leading spaces, and a word number per token (−1: special token). */
export function textPositions(
  encoding: Encoding,
  text: string,
): Required<Pick<TextItem, 'text' | 'offsets' | 'words'>> {
  const toUtf16 = codePointStarts(text);
  const pairs = encoding.getOffsets();
  const offsets = new Uint32Array(pairs.length * 2);
  for (const [i, pair] of pairs.entries()) {
    const end = toUtf16(pair[1]!);
    let start = toUtf16(pair[0]!);
    // Some tokenizers count the space before a word as part of it.
    while (start < end && /\s/.test(text[start]!)) start++;
    offsets[2 * i] = start;
    offsets[2 * i + 1] = end;
  }
  return { text, offsets, words: Int32Array.from(encoding.getWordIds(), (word) => word ?? -1) };
}

/** The tokenizer counts code points; those beyond U+FFFF are two UTF-16 units. */
function codePointStarts(text: string): (codePoints: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (codePoints) => codePoints;
  const starts: number[] = [];
  let at = 0;
  for (const character of text) {
    starts.push(at);
    at += character.length;
  }
  return (codePoints) => starts[codePoints] ?? text.length;
}
