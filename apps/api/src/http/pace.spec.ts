import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from './pace.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a byte a second is too slow after 20 s, told once', () => {
  const late = vi.fn();
  const pace = new Pace(late);
  for (let second = 0; second < 60; second++) {
    pace.move(1);
    vi.advanceTimersByTime(1000);
    expect(late).toHaveBeenCalledTimes(second < 20 ? 0 : 1);
  }
});

test('16 KiB a second is never too slow, and is when it stops', () => {
  const late = vi.fn();
  const pace = new Pace(late);
  for (let second = 0; second < 600; second++) {
    pace.move(16 * 1024);
    vi.advanceTimersByTime(1000);
  }
  expect(late).not.toHaveBeenCalled();
  vi.advanceTimersByTime(21_000);
  expect(late).toHaveBeenCalledTimes(1);
});

test('what is over is not judged', () => {
  const late = vi.fn();
  new Pace(late).stop();
  vi.advanceTimersByTime(100_000);
  expect(late).not.toHaveBeenCalled();
});
