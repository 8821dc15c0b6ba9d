import { expect, test } from 'vitest';
import { prefixOf } from './prefix.js';
import { MAX_TEXT } from './tokenizer.js';

const MAX_TOKENS = 1000;

/** Words are tokens; what was counted is kept. */
function counter() {
  const counted: number[] = [];
  const count = async (text: string) => {
    counted.push(text.length);
    return text.split(' ').filter((word) => word !== '').length;
  };
  return { counted, count };
}

test('of a long text no more is looked at than has the tokens a model takes', async () => {
  const { counted, count } = counter();
  const prefix = await prefixOf('word '.repeat(400_000), MAX_TOKENS, count);
  expect([prefix.length, counted]).toEqual([8000, [8000]]);
});

test('a text of few tokens is taken whole, however long', async () => {
  for (const text of [' '.repeat(100_000), 'x'.repeat(100_000), 'short']) {
    expect(await prefixOf(text, MAX_TOKENS, counter().count)).toBe(text);
  }
});

test('spaces before the text do not hide it', async () => {
  const text = ' '.repeat(100_000) + 'word '.repeat(100_000);
  const prefix = await prefixOf(text, MAX_TOKENS, counter().count);
  expect(prefix.length).toBeLessThan(text.length);
  expect(await counter().count(prefix)).toBeGreaterThan(MAX_TOKENS);
});

test('a character of two units is not cut apart', async () => {
  const seen: string[] = [];
  for (const start of ['', ' ']) {
    seen.push(await prefixOf(start + '😀'.repeat(20_000), 3, async () => 1000));
  }
  expect(seen.map((prefix) => encodeURIComponent(prefix).length > 0)).toEqual([true, true]);
});

test('the longest text that is tokenised is looked at before one that is not', async () => {
  const text = ' '.repeat(MAX_TEXT - 5000) + 'word '.repeat(400_000);
  const { counted, count } = counter();
  expect(await prefixOf(text, MAX_TOKENS, count)).toBe(text);
  expect(Math.max(...counted)).toBe(MAX_TEXT);
  expect((await prefixOf('word '.repeat(400_000), 2 ** 20, count)).length).toBe(2_000_000);
  expect(counted.at(-1)).toBe(MAX_TEXT);
});
