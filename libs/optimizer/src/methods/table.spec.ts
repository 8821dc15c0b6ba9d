/** Help names the methods that there are, in the order in which they are tried. */
import { expect, test } from 'vitest';
import { METHOD_NAMES } from './names.js';
import { METHODS } from './table.js';

test('the names that help shows are those of the table', () => {
  expect(METHOD_NAMES).toEqual(METHODS.map(({ name }) => name));
});
