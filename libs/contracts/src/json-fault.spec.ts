import { expect, test } from 'vitest';
import { placeOfFault } from './json-fault.js';

test.each([
  ['', 'line 1, column 1'],
  ['{', 'line 1, column 2'],
  ['{"a": x}', 'line 1, column 7'],
  ['{\n  "a": 1,\n}', 'line 3, column 1'],
  ['{"a" 1}', 'line 1, column 6'],
  ['{"a": [1 2]}', 'line 1, column 10'],
  ['{"a": [1, 2}', 'line 1, column 12'],
  ["{'a': 1}", 'line 1, column 2'],
  ['{"a": 1}}', 'line 1, column 9'],
  ['[1, ]', 'line 1, column 5'],
  ['{"a": "x\ny"}', 'line 1, column 7'],
  ['{"a": 01}', 'line 1, column 7'],
  ['{"a": {"b": [true, null, -1.5e3, "\\u00e9", {}, []]}, // no\n}', 'line 1, column 54'],
])('%j stops being JSON at %s', (text, place) => {
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  expect(placeOfFault(text)).toBe(place);
});
