import { describe, expect, it } from 'vitest';
import { AnswerText, addToAnswers } from './answer-text.js';
import { testTokenizer } from './testing/tokenizers.js';
import type { StreamDecoder } from './text-stream.js';
import { streamDecoder } from './text-stream.js';

/** Tokens are code units. */
const UNITS: StreamDecoder = {
  decode: async (lists) => lists.map((ids) => String.fromCharCode(...ids)),
  isSkipped: () => false,
  isByte: () => false,
};
const idsOf = (text: string) => [...text].map((unit) => unit.charCodeAt(0));

const OPTIONS = { stop: ['abab', 'END'], includeStop: false, minTokens: 0 };

async function pieces(texts: readonly string[], options = OPTIONS) {
  const answer = new AnswerText(UNITS, options);
  const shown: string[] = [];
  let taken = 0;
  for (const text of texts) {
    const [piece] = await addToAnswers(UNITS, [{ answer, ids: idsOf(text) }]);
    shown.push(piece!.text);
    taken += piece!.taken;
  }
  const { text, stopped } = await answer.end();
  return { shown: [...shown, text], stopped, taken };
}

describe('AnswerText', () => {
  it('holds back exactly what may begin a stop string', async () => {
    expect((await pieces(['xaba', 'cE', 'Ny', 'aba'])).shown).toEqual(['x', 'abac', 'ENy', '', 'aba']);
  });

  it('ends before a stop string, wherever tokens begin, and says how many tokens that took', async () => {
    expect(await pieces(['xab', 'aababq', 'r'])).toEqual({ shown: ['x', 'aba', '', ''], stopped: 'abab', taken: 8 });
    expect(await pieces(['EN', 'D'])).toEqual({ shown: ['', '', ''], stopped: 'END', taken: 3 });
  });

  it('ends behind it where it is to be included', async () => {
    const included = await pieces(['xE', 'NDq'], { ...OPTIONS, includeStop: true });
    expect(included).toEqual({ shown: ['x', 'END', ''], stopped: 'END', taken: 4 });
  });

  it('goes on where a stop string is complete before the answer is long enough', async () => {
    const late = await pieces(['END', 'xEND', 'y'], { ...OPTIONS, minTokens: 4 });
    expect(late).toEqual({ shown: ['END', 'x', '', ''], stopped: 'END', taken: 7 });
  });

  it('shows the same text however tokens come together', async () => {
    const text = 'aabaEENaabENEbaaENabENE';
    const [whole, single] = [await pieces([text]), await pieces([...text])];
    expect(single.shown.join('')).toBe(text);
    expect(whole.shown.join('')).toBe(text);
  });

  it.each(['byte-level', 'byte fallback'] as const)('finds stop strings across tokens and bytes: %s', async (kind) => {
    const { tokenizer, json } = testTokenizer(kind);
    const text = 'the 🦦 ends, the 🦦🦦 stops the rest';
    const ids = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
    const decoder = streamDecoder(tokenizer, json, true);
    const answers = [{ ...OPTIONS, stop: ['🦦🦦 st', 'never'] }, OPTIONS].map(
      (options) => new AnswerText(decoder, options),
    );
    const [stopped, whole] = await addToAnswers(
      decoder,
      answers.map((answer) => ({ answer, ids })),
    );
    expect(stopped).toMatchObject({ text: 'the 🦦 ends, the ', stopped: '🦦🦦 st' });
    expect(stopped!.taken).toBeLessThan(ids.length);
    expect(whole!.text + (await answers[1]!.end()).text).toBe(text);
  });
});
