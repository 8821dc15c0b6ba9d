/** What is faster by its place in memory alone is not sure to be faster. */
import type { SpeedRatio } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { confirmed } from './confirm.js';

const speed = (ratio: number, batch = 1): SpeedRatio => ({
  ...{ batch, tokens: 16, ratio, low: ratio - 0.01, high: ratio + 0.01 },
});

test('what is not sure to be faster is not timed again', async () => {
  const first = [speed(1.02), speed(0.9, 8)];
  const again = () => Promise.reject(new Error('timed again'));
  expect(await confirmed(first, again)).toEqual(first);
  expect(await confirmed([], again)).toEqual([]);
});

test('what seems faster where it lies, and slower in the other place, is not; what is faster in both is', async () => {
  const [small, large] = await confirmed([speed(1.1), speed(2, 8)], async () => [speed(0.9), speed(1.8, 8)]);
  expect(small!.low).toBeCloseTo(0.89);
  expect(small!.high).toBeCloseTo(1.11);
  expect(small!.ratio).toBeCloseTo(0.995, 3);
  expect(large).toMatchObject({ batch: 8, ratio: expect.closeTo(1.897, 3), low: expect.closeTo(1.79, 6) });
});
