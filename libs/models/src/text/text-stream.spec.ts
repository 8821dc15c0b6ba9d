import { describe, expect, it } from 'vitest';
import { testTokenizer } from './testing/tokenizers.js';
import { addTokens, streamDecoder, TextStream } from './text-stream.js';

/** A reproducible sequence of numbers below `limit`. */
function numbers(seed: number, length: number, limit: number): number[] {
  let state = seed;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  });
}

const TEXTS = [
  'otters 🦦 and naïve  fish\n汉字',
  '  the thé 👩‍👩‍👧‍👦, e\u0301 \uFFFD end ',
  '\uFFFD\uFFFD',
  'ا نص عربي 한국어 🏴󠁧󠁢󠁥󠁮󠁧󠁿',
];

describe.each(['byte-level', 'WordPiece', 'byte fallback'] as const)('TextStream, %s', (kind) => {
  const { tokenizer, json } = testTokenizer(kind);
  const vocabulary = tokenizer.getVocabSize(true);

  async function streamed(ids: readonly number[], skip: boolean): Promise<string[]> {
    const decoder = streamDecoder(tokenizer, json, skip);
    const stream = new TextStream(decoder);
    const pieces: string[] = [];
    for (const id of ids) pieces.push(...(await addTokens(decoder, [{ stream, id }])));
    return [...pieces, await stream.end()];
  }

  it('shows the text of all tokens, whatever they are', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const ids = numbers(seed, 60, seed % 2 === 0 ? vocabulary : Math.min(vocabulary, 262));
      const skip = seed % 3 === 0;
      expect((await streamed(ids, skip)).join(''), `seed ${seed}`).toBe(await tokenizer.decode(ids, skip));
    }
  });

  it('shows whole characters of texts, as soon as they are complete', async () => {
    for (const text of TEXTS) {
      const ids = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
      const pieces = await streamed(ids, true);
      expect(pieces.join('')).toBe(await tokenizer.decode(ids, true));
      if (!text.includes('\uFFFD')) expect(pieces.join('')).not.toContain('\uFFFD');
      const surrogates = /[\uD800-\uDBFF]$|^[\uDC00-\uDFFF]/;
      expect(pieces.filter((piece) => surrogates.test(piece))).toEqual([]);
    }
  });

  it('decodes few tokens for each new one, in one call for all streams of a step', async () => {
    const plain = streamDecoder(tokenizer, json, true);
    const calls: number[][][] = [];
    const decode = (lists: number[][]) => {
      calls.push(lists);
      return plain.decode(lists);
    };
    const decoder = { ...plain, decode };
    const rows = [1, 2, 3].map((seed) => ({ stream: new TextStream(decoder), ids: numbers(seed, 200, 256) }));
    for (let n = 0; n < 200; n++)
      await addTokens(
        decoder,
        rows.map(({ stream, ids }) => ({ stream, id: ids[n]! })),
      );
    expect(calls.length).toBeLessThanOrEqual(200);
    // Every token is in two lists for each of the eight that follow it, and in one when it is new.
    expect(calls.flat(2).length).toBeLessThanOrEqual(3 * 200 * 17);
  });
});
