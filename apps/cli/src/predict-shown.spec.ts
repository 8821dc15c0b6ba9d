/** What people and programs see of an answer, by task. */
import type { Task } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { jsonLineOf, lineOf } from './predict-shown.js';

const input = { line: 7, value: 'a document', end: 0 };
const labels = ['a', 'b', 'c', 'd'].map((label, n) => ({ label, score: 0.7215349 / (n + 1) }));

test.each<[task: Task, output: unknown, line: string]>([
  ['text-classification', labels, 'a 0.7215  b 0.3608  c 0.2405  ...'],
  ['text-classification', labels.slice(0, 1), 'a 0.7215'],
  ['feature-extraction', [0.123456, -1, 0, 2, 3], '[0.1235, -1, 0, 2, ...]  5 values'],
  [
    'feature-extraction',
    [
      [1, 2],
      [3, 4],
    ],
    '2 vectors of 2 values',
  ],
  [
    'rerank',
    [
      { index: 1, score: 0.97 },
      { index: 0, score: 0.1 },
    ],
    'document 1 0.97  document 0 0.1',
  ],
  ['token-classification', [{ label: 'PER', score: 0.98765, word: 'Ada', start: 0, end: 3 }], 'PER Ada 0.9877'],
  ['token-classification', [], 'no entities'],
  ['text-generation', { text: 'two\nlines\u001b[2J' }, 'two\\nlines[2J'],
  ['text-generation', [{ text: 'one' }, { text: 'other' }], 'one | other'],
  ['tensors', { y: { type: 'int64', shape: [1], data: ['14'] } }, '{"y":{"type":"int64","shape":[1],"data":["14"]}}'],
])('of %s', (task, output, line) => {
  expect(lineOf({ input, output }, task, false)).toBe(line);
});

test('a document has its score before it, for sort', () => {
  expect(lineOf({ input, output: [{ index: 0, score: 0.5 }] }, 'rerank', true)).toBe('0.500000  a document');
});

test('as JSON an answer has its line, and a fault its code', () => {
  expect(jsonLineOf({ input, output: [1] })).toBe('{"line":7,"output":[1]}');
  const fault = { code: 'invalid_request', detail: 'text must not be empty', refused: true };
  expect(jsonLineOf({ input, fault })).toBe(
    '{"line":7,"error":{"code":"invalid_request","detail":"text must not be empty"}}',
  );
});
