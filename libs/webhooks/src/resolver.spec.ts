import { expect, test } from 'vitest';
import { remember } from './resolver.js';

test('a name is asked for once in a while, a failure is not kept, and old names make room', async () => {
  const asked: string[] = [];
  let now = 0;
  const resolve = remember(
    async (host) => {
      asked.push(host);
      if (host === 'down') throw new Error('no answer');
      return ['1.1.1.1'];
    },
    100,
    2,
    () => now,
  );
  await Promise.all([resolve('a'), resolve('a'), resolve('b')]);
  expect(asked).toEqual(['a', 'b']);
  now = 100;
  await resolve('a');
  await expect(resolve('down')).rejects.toThrow();
  await expect(resolve('down')).rejects.toThrow();
  expect(asked).toEqual(['a', 'b', 'a', 'down', 'down']);
  await resolve('c');
  await resolve('d');
  await resolve('a');
  expect(asked.slice(5)).toEqual(['c', 'd', 'a']);
});
