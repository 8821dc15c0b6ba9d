/** What counts against a trial: all its time, and less of the time that it waits for others. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Limits } from './limits.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** When it was late, in ms; undefined: it was not. */
function open(limitMs: number, patienceMs?: number) {
  const started = Date.now();
  const late: number[] = [];
  const limits = new Limits({ limitMs, ...(patienceMs !== undefined && { patienceMs }) }, () => {
    late.push(Date.now() - started);
  });
  return { limits, late };
}

test('one that hangs by itself is late after its patience', () => {
  const { late } = open(10_000, 300);
  vi.advanceTimersByTime(1000);
  expect(late[0]).toBe(300);
});

test('while it waits for others its patience does not count, and begins anew behind that', () => {
  const { limits, late } = open(10_000, 300);
  vi.advanceTimersByTime(200);
  limits.wait(true);
  vi.advanceTimersByTime(5000);
  limits.wait(true);
  limits.wait(false);
  vi.advanceTimersByTime(299);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(late).toEqual([5500]);
});

test('the end of the run counts whatever it waits for', () => {
  const { limits, late } = open(1000, 300);
  limits.wait(true);
  vi.advanceTimersByTime(2000);
  expect(late).toEqual([1000]);
});

test('nothing is late that has ended, and no limit is too long for a timer', () => {
  const { limits, late } = open(1e12);
  vi.advanceTimersByTime(1);
  limits.clear();
  vi.advanceTimersByTime(2 ** 31);
  expect(late).toEqual([]);
});
