import { expect, test } from 'vitest';
import { ShoalError } from './errors.js';

test('names that are repeated cannot hide what they are', () => {
  const { message } = new ShoalError('model_invalid', 'evil\u202egnp.json\u0007\u200b\u2028 é 🐟\n  next\tline');
  expect(message).toBe('evil\\u{202e}gnp.json\\u{7}\\u{200b}\\u{2028} é 🐟\n  next\tline');
});
