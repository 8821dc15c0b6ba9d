import { expect, test } from 'vitest';
import { secondsUntil } from './place.js';

test.each([
  ['the next of 10 chunks of 100 tokens at 50 a second', { position: 1, chunks: 10, tokens: 1000 }, 50, 2],
  ['the last of them', { position: 10, chunks: 10, tokens: 1000 }, 50, 20],
  ['one that is not enqueued yet, behind all', { position: 11, chunks: 10, tokens: 1000 }, 50, 20],
  ['a queue of which nothing has ended', { position: 1, chunks: 10, tokens: 1000 }, 0, null],
  ['a queue that stands still', { position: 1, chunks: 1, tokens: 1000 }, 0.001, null],
])('%s', (_, place, rate, seconds) => {
  expect(secondsUntil(place, rate)).toBe(seconds);
});
