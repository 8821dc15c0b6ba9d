import { expect, test } from 'vitest';
import { jsonOf, printable } from './printable.js';

test('what a terminal would obey is left out; lines, tabs and joined emoji stay', () => {
  expect(printable('a\u001b[31m\u009b2J\u202eb\u0007\tc\n👩‍🚀')).toBe('a[31m2Jb\tc\n👩‍🚀');
});

test('JSON tells of them, and says the same', () => {
  const value = { text: '\u001b[2J \u009b2J \u007f é' };
  expect(jsonOf(value)).toBe('{"text":"\\u001b[2J \\u009b2J \\u007f é"}');
  expect(JSON.parse(jsonOf(value))).toEqual(value);
});
