import { expect, test } from 'vitest';
import { nearestNames } from './nearest.js';

const NAMES = ['bge-small-en-v1.5', 'bge-large-en-v1.5', 'wordnet-topic', 'wordnet-embed', 'all-minilm-l6-v2'];

test.each([
  ['BAAI/bge-small-en-v1.5', 'bge-small-en-v1.5'],
  ['sentence-transformers/all-MiniLM-L6-v2', 'all-minilm-l6-v2'],
  ['wordnet-topics', 'wordnet-topic'],
  ['wordent-embed', 'wordnet-embed'],
  ['minilm', 'all-minilm-l6-v2'],
])('%s is near %s', (given, name) => {
  expect(nearestNames(given, NAMES)[0]).toBe(name);
});

test.each(['text-embedding-3-small', 'gpt-4o', '', '/', 'x'.repeat(10_000)])('%j is near nothing', (given) => {
  expect(nearestNames(given, NAMES)).toEqual([]);
});

test('no more than three are told', () => {
  expect(nearestNames('bge', ['bge-a', 'bge-b', 'bge-c', 'bge-d'])).toHaveLength(3);
});
