import { expect, test } from 'vitest';
import { lowerCased } from './lower-case.js';

const normalizerOf = (normalizer: object | null) =>
  (JSON.parse(lowerCased(JSON.stringify({ model: {}, normalizer }))) as { normalizer: unknown }).normalizer;

test('a Lowercase comes before what the tokenizer does, unless it has one', () => {
  const [lower, nfc] = [{ type: 'Lowercase' }, { type: 'NFC' }];
  expect(normalizerOf(null)).toEqual({ type: 'Sequence', normalizers: [lower] });
  expect(normalizerOf(nfc)).toEqual({ type: 'Sequence', normalizers: [lower, nfc] });
  expect(normalizerOf({ type: 'Sequence', normalizers: [nfc] })).toEqual({
    type: 'Sequence',
    normalizers: [lower, nfc],
  });
  expect(normalizerOf(lower)).toEqual(lower);
  expect(normalizerOf({ type: 'Sequence', normalizers: [nfc, lower] })).toEqual({
    type: 'Sequence',
    normalizers: [nfc, lower],
  });
});
