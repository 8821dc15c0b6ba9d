import { expect, test } from 'vitest';
import { WorkClock } from './work-clock.js';

test('a pass by itself is its share of those that fit side by side', () => {
  const clock = new WorkClock(4);
  expect(clock.leave(clock.enter(5000), 7000)).toBe(0.5);
  expect(clock.leave(clock.enter(60_000), 61_000)).toBe(0.25);
});

test('passes side by side count alike, beside each other or not', () => {
  const clock = new WorkClock(2);
  const one = clock.enter(0);
  const two = clock.enter(500);
  expect(clock.leave(one, 1000)).toBe(0.5);
  expect(clock.leave(two, 1500)).toBe(0.5);
});

test('passes that take turns on one device share its time: together they are no more than what has passed', () => {
  const clock = new WorkClock(1);
  const one = clock.enter(0);
  const two = clock.enter(1000);
  expect(clock.leave(one, 2000)).toBe(1.5);
  expect(clock.leave(two, 3000)).toBe(1.5);
});
