import { expect, test } from 'vitest';
import { textBoundsOf } from './check-tokenizer.js';
import { MAX_TEXT, type TextBounds } from './text-bounds.js';

const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const inTurn = (...pretokenizers: object[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });

function takes(bounds: TextBounds, text: string): boolean {
  try {
    bounds.check(text);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'input_too_long' });
    return false;
  }
}

test('a tokenizer that reads texts once gets all but those that are too long for the library', () => {
  const bounds = textBoundsOf(inTurn(split('\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'), { type: 'ByteLevel' }));
  expect(takes(bounds, ' '.repeat(MAX_TEXT))).toBe(true);
  expect(takes(bounds, ' '.repeat(MAX_TEXT + 1))).toBe(false);
});

test('one that reads stretches again and again gets none with long ones, or many', () => {
  const bounds = textBoundsOf(inTurn(split('\\s+$')));
  const stretch = (length: number) => `${' '.repeat(length)}x`;
  expect(takes(bounds, 'word '.repeat(200_000))).toBe(true);
  expect(takes(bounds, stretch(8192))).toBe(true);
  expect(takes(bounds, stretch(8193))).toBe(false);
  expect(takes(bounds, stretch(1024).repeat(64))).toBe(true);
  expect(takes(bounds, stretch(1024).repeat(65))).toBe(false);
});

test('where characters become others before, or the class is not known, it is the whole text that counts', () => {
  const twice = { normalizer: { type: 'Replace', pattern: { String: 'x' }, content: '  ' } };
  const changed = textBoundsOf({ ...twice, ...inTurn(split('\\s+$')) });
  expect([takes(changed, 'x'.repeat(4096)), takes(changed, 'x'.repeat(4097))]).toEqual([true, false]);
  const unknown = textBoundsOf(inTurn(split('\\[[^\\]]+]')));
  expect([takes(unknown, 'x'.repeat(8192)), takes(unknown, 'x'.repeat(8193))]).toEqual([true, false]);
});
