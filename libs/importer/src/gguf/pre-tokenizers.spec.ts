/** Each name of a way to cut words gives the tokens that llama.cpp gives, which has the same names. */
import tokenizers from 'tokenizers';
import { expect, test } from 'vitest';
import { readJson } from '../testing/decoders.js';
import { Metadata } from './metadata.js';
import type { GgufValue } from './read.js';
import { tokenizerOf } from './tokenizer.js';
import { readVocabulary } from './tokens.js';

interface Expected {
  readonly tokens: readonly string[];
  readonly merges: readonly string[];
  readonly lines: readonly string[];
  readonly ways: readonly { readonly names: readonly string[]; readonly ids: readonly (readonly number[] | null)[] }[];
}

const { tokens, merges, lines, ways } = readJson<Expected>('test/fixtures/gguf/tokens-by-name.json');

function tokenizerNamed(name: string): tokenizers.Tokenizer {
  const metadata = new Metadata(
    new Map<string, GgufValue>([
      ['tokenizer.ggml.model', 'gpt2'],
      ['tokenizer.ggml.pre', name],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.merges', merges],
    ]),
  );
  return tokenizers.Tokenizer.fromString(JSON.stringify(tokenizerOf(metadata, readVocabulary(metadata))));
}

const idsOf = async (tokenizer: tokenizers.Tokenizer, text: string) => [...(await tokenizer.encode(text)).getIds()];

test.each(ways.flatMap(({ names, ids }) => names.map((name) => ({ name, ids }))))('$name', async ({ name, ids }) => {
  const tokenizer = tokenizerNamed(name);
  const found = await Promise.all(lines.map((line) => idsOf(tokenizer, line)));
  expect(found.map((own, n) => ids[n] && own)).toEqual(ids);
});

test.each(['qwen2', 'olmo'])('%s composes characters first, which llama.cpp leaves out', async (name) => {
  const tokenizer = tokenizerNamed(name);
  expect(await idsOf(tokenizer, 'cafe\u0301')).toEqual(await idsOf(tokenizer, 'caf\u00e9'));
});
