import { expect, test } from 'vitest';
import { encodePairs } from './encode-pairs.js';
import type { Encoding, TextTokenizer } from './tokenizer.js';

/** Words are tokens; `seen` has every text that was tokenised. */
function fakeTokenizer(template: boolean) {
  const seen: string[] = [];
  const idsOf = (text: string) => text.split(' ').map((word) => word.length);
  const tokenizer: TextTokenizer = {
    vocabSize: 100,
    encode: async (input) => {
      seen.push(String(input));
      const ids = typeof input === 'string' ? idsOf(input) : [...idsOf(input[0]), ...idsOf(input[1])];
      return { getIds: () => ids, getTypeIds: () => ids.map(() => 0), getLength: () => ids.length } as Encoding;
    },
    plainIds: async (text) => {
      seen.push(text);
      return Uint32Array.from(idsOf(text));
    },
    tokens: () => {
      throw new Error('not asked for');
    },
    pairTemplate: async () => (template ? ({ join: join } as never) : null),
  };
  return { tokenizer, seen };
}

function join(first: Uint32Array, second: Uint32Array) {
  return { kind: 'text', ids: Uint32Array.of(...first, ...second) };
}

const documents = (count: number, text: string) =>
  Array.from({ length: count }, (_, n) => ({ path: `input.documents[${n}]`, text: `${text}${n}` }));
const LIMITS = { maxTokens: 10, vocabSize: 100, truncate: false };

test('a query is tokenised once, whatever the number of its documents', async () => {
  const { tokenizer, seen } = fakeTokenizer(true);
  const queries = [{ path: 'input', text: 'the query', documents: documents(500, 'doc') }];
  const items = await encodePairs(tokenizer, queries, LIMITS);
  expect(items).toHaveLength(500);
  expect(seen.filter((text) => text.includes('the query'))).toHaveLength(1);
});

test('lengths are judged group by group: what follows many faults is not tokenised, and ten are named', async () => {
  const { tokenizer, seen } = fakeTokenizer(true);
  const long = 'one two three four five six seven eight nine ten';
  const queries = [{ path: 'input', text: 'query', documents: documents(1000, long) }];
  const failure = await encodePairs(tokenizer, queries, LIMITS).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'input_too_long', faults: { length: 10 } });
  expect(seen.length).toBeLessThan(200);
});

test('a tokenizer that has to see pairs whole is not given more than some', async () => {
  const queries = [{ path: 'input', text: 'x'.repeat(10_000), documents: documents(1000, 'doc') }];
  const { tokenizer, seen } = fakeTokenizer(false);
  await expect(encodePairs(tokenizer, queries, LIMITS)).rejects.toThrow('too long for so many documents');
  expect(seen).toEqual([]);
});
