import { expect, it } from 'vitest';
import { testTokenizer } from './testing/tokenizers.js';
import { tokenPieces } from './token-pieces.js';

it.each(['byte-level', 'byte fallback'] as const)('gives bytes that make the text together: %s', async (kind) => {
  const { tokenizer, json } = testTokenizer(kind);
  const pieceOf = tokenPieces(tokenizer, json);
  const text = ' the otter 🦦, é';
  const pieces = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds().map((id) => pieceOf(id)!);
  const together = new TextDecoder().decode(Uint8Array.from(pieces.flatMap(({ bytes }) => bytes)));
  expect(together.trimStart()).toBe(text.trimStart());
  expect(pieces.map(({ token }) => token)).toContain('\uFFFD');
  expect(pieceOf(10_000_000)).toBeUndefined();
});
