import { LazyList } from '@shoal/models';
import { expect, test } from 'vitest';
import { jsonPieces } from './json-pieces.js';

const numbers = Array.from({ length: 5000 }, (_, n) => n / 8);
const VALUES: readonly unknown[] = [
  null,
  'te"xt\u2028',
  0.1,
  [],
  {},
  [[], [[]], {}],
  { a: undefined, b: null, 'c"': [1, 'x', null, { d: [true] }, [], 2] },
  [undefined, Number.NaN],
  numbers,
  { rows: Array.from({ length: 300 }, () => numbers.slice(0, 100)) },
  Array.from({ length: 3000 }, (_, n) => [{ label: `noun.${n}`, score: n / 8 }, undefined, { none: undefined }]),
];

test('the pieces together are what JSON.stringify makes', () => {
  for (const value of VALUES) expect([...jsonPieces(value)].join('')).toBe(JSON.stringify(value));
});

test('a list that is made as it is read is written as a list, no faster than it is taken', () => {
  let made = 0;
  const row = (n: number) => {
    made += 1;
    return [n, LazyList.of(3, (i) => i)];
  };
  const list = LazyList.of(100_000, row);
  const pieces = jsonPieces({ list });
  expect(pieces.next().value).toMatch(/^\{"list":\[\[0,\[0,1,2\]\],\[1,/);
  expect(made).toBeLessThan(5000);
  expect(JSON.parse([...jsonPieces({ list: LazyList.of(2, row) })].join(''))).toEqual({
    list: [
      [0, [0, 1, 2]],
      [1, [0, 1, 2]],
    ],
  });
});

test('no piece is much longer than the others', () => {
  const many = (element: unknown) => Array.from({ length: 300 }, () => element);
  for (const value of [numbers, many(numbers), many('text'.repeat(1000)), many({ text: 'text'.repeat(5000) })]) {
    expect(Math.max(...[...jsonPieces(value)].map(({ length }) => length))).toBeLessThan(80 * 1024);
  }
});
