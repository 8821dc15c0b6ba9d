import { expect, test } from 'vitest';
import { tokenTexts } from './token-texts.js';

const ADDED = [
  { id: 0, content: '<s>', special: true },
  { id: 1, content: 'Käse', special: false },
];

function texts(decoder: object, names: Readonly<Record<number, string>>) {
  return tokenTexts({ added_tokens: ADDED, decoder }, (id) => names[id] ?? null);
}

test('tokens of bytes are written as GPT-2 does, each by itself', () => {
  const fish = texts({ type: 'Sequence', decoders: [{ type: 'ByteLevel' }] }, { 2: 'Ġswim', 3: 'ðŁ', 4: 'ĲŁ', 5: 'Ċ' });
  expect([...fish.bytesOf(3), ...fish.bytesOf(4)]).toEqual([...Buffer.from('🐟')]);
  expect(fish.textOf(Uint32Array.of(0, 1, 2, 3, 4, 5), true)).toBe('Käse swim🐟\n');
  expect(fish.textOf(Uint32Array.of(0, 1), false)).toBe('<s>Käse');
});

test('pieces have a bar for a space, none before the first word, and bytes by their number', () => {
  const decoder = { type: 'Sequence', decoders: [{ type: 'Replace' }, { type: 'ByteFallback' }] };
  const pieces = texts(decoder, { 2: '▁Fish', 3: '▁swim', 4: '<0xE2>', 5: '<0x82>', 6: '<0xAC>' });
  expect(pieces.textOf(Uint32Array.of(0, 2, 3, 4, 5, 6), true)).toBe('Fish swim€');
});

test('an id that no token has says nothing', () => {
  expect(texts({ type: 'ByteLevel' }, {}).bytesOf(9)).toHaveLength(0);
});
