import { expect, test } from 'vitest';
import { coldStartSeconds } from './cold-starts.js';

test.each([
  ['none', [], 20],
  ['one', [7], 7],
  ['fewer than 20', [9, 30, 11], 30],
  ['20: the longest may be an outlier', [...Array.from({ length: 19 }, (_, n) => n + 1), 900], 19],
  ['values that are none', [Number.NaN, -1, 0, Number.POSITIVE_INFINITY], 20],
])('the 95th percentile of %s', (_, latest, seconds) => {
  expect(coldStartSeconds(latest)).toBe(seconds);
});
