import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { repeat } from './repeat.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a round that fails is told, and the next comes all the same', async () => {
  const errors: string[] = [];
  let rounds = 0;
  const stop = repeat(
    100,
    async () => {
      if (++rounds === 1) throw new Error('away');
    },
    ({ message }) => void errors.push(message),
  );
  await vi.advanceTimersByTimeAsync(350);
  expect([rounds, errors]).toEqual([3, ['away']]);
  await stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(rounds).toBe(3);
});

test('a round begins only after the last has ended, and who stops it may wait for that', async () => {
  let end = () => {};
  let rounds = 0;
  const stop = repeat(
    100,
    () => {
      rounds++;
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    },
    () => undefined,
  );
  await vi.advanceTimersByTimeAsync(1000);
  expect(rounds).toBe(1);
  let stopped = false;
  void stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(1000);
  expect(stopped).toBe(false);
  end();
  await vi.advanceTimersByTimeAsync(1000);
  expect([stopped, rounds]).toEqual([true, 1]);
});
