import { describe, expect, test } from 'vitest';
import { DEFAULT_SCHEDULE, nextPause, parseRetryAfter } from './schedule.js';

const PLAIN = { throttled: false, retryAfterMs: null };
const MINUTE = 60_000;
const middle = () => 0.5;

test('ten attempts over 75 h 35 min 5 s', () => {
  const pauses = DEFAULT_SCHEDULE.map((_, n) => nextPause(DEFAULT_SCHEDULE, n, PLAIN, middle) ?? Number.NaN);
  expect(pauses.reduce((sum, ms) => sum + ms, 0)).toBe(((75 * 60 + 35) * 60 + 5) * 1000);
  expect(nextPause(DEFAULT_SCHEDULE, 10, PLAIN, middle)).toBeNull();
});

test('pauses vary by a fifth', () => {
  expect(nextPause(DEFAULT_SCHEDULE, 2, PLAIN, () => 0)).toBe(4 * MINUTE);
  expect(nextPause(DEFAULT_SCHEDULE, 2, PLAIN, () => 1)).toBe(6 * MINUTE);
});

describe('an overloaded receiver', () => {
  test('gets a minute at least, with jitter never less', () => {
    for (const random of [0, 0.5, 1]) {
      const pause = nextPause(DEFAULT_SCHEDULE, 1, { ...PLAIN, throttled: true }, () => random);
      expect(pause).toBeGreaterThanOrEqual(MINUTE);
    }
    expect(nextPause(DEFAULT_SCHEDULE, 2, { ...PLAIN, throttled: true }, middle)).toBe(5 * MINUTE);
  });

  test('gets no more than the longest pause of a short schedule', () => {
    expect(nextPause([0, 10, 50], 1, { ...PLAIN, throttled: true }, middle)).toBe(50);
  });
});

test.each([
  [1, 5],
  [7, 7],
  [99, 10],
])('Retry-After of %i s where 5 s are scheduled waits %i s', (given, waited) => {
  const failure = { throttled: false, retryAfterMs: given * 1000 };
  expect(nextPause(DEFAULT_SCHEDULE, 1, failure, middle)).toBe(waited * 1000);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-01-05T09:30:00Z');
  expect(parseRetryAfter('120', now)).toBe(120_000);
  expect(parseRetryAfter('Mon, 05 Jan 2026 09:31:00 GMT', now)).toBe(MINUTE);
  expect(parseRetryAfter('Mon, 05 Jan 2026 09:29:00 GMT', now)).toBe(0);
  for (const header of [undefined, '', 'soon', '-1']) expect(parseRetryAfter(header, now)).toBeNull();
});
