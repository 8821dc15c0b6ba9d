/** Pages of questions are what a job takes, and the same whoever asks. */
import { createModelFace, type ModelFace } from '@shoal/models';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { heldOut } from '../testing/examples.js';
import { ModelCopy } from '../testing/model-copy.js';
import { encodePages, rangesOf } from './pages.js';

let copy: ModelCopy;
let face: ModelFace;
beforeAll(async () => {
  copy = new ModelCopy('wordnet-embed');
  face = await createModelFace(await copy.model());
});
afterAll(() => copy.remove());

const lengths = (texts: readonly string[]) => rangesOf(texts).map(({ from, to }) => to - from);

test('they have 1,000 questions, and fewer where these are long', () => {
  expect(lengths(new Array<string>(2500).fill('a'))).toEqual([1000, 1000, 500]);
  expect(lengths([])).toEqual([]);
  const half = 'a'.repeat(2 ** 19);
  expect(lengths([half, 'a', half, 'a', 'é'.repeat(2 ** 20), 'a'])).toEqual([2, 2, 1, 1]);
});

test('what is answered with more than a job has room for is asked for in parts, all of it once', async () => {
  const texts = heldOut<{ document: string }>('wordnet-embed')
    .slice(0, 1000)
    .map(({ document }) => `${document} ${document}`);
  const whole = await encodePages(face, texts, { truncate: true }, 'print');
  expect(whole).toHaveLength(1);
  const parts = await encodePages(face, texts, { truncate: true, pooling: 'none' }, 'print');
  expect(parts.length).toBeGreaterThan(1);
  expect(parts.flatMap(({ questions }) => questions)).toEqual(texts);
  expect(parts.flatMap(({ items }) => items.map(({ ids }) => ids))).toEqual(whole[0]!.items.map(({ ids }) => ids));
  let next = 0;
  for (const { from, questions } of parts) {
    expect(from).toBe(next);
    next += questions.length;
  }
  expect(new Set([...parts, ...whole].map(({ key }) => key)).size).toBe(parts.length + 1);
});

test('a page is known by its questions, its parameters and whose answers they are', async () => {
  const keyOf = async (texts: readonly string[], parameters = {}, print = 'print') =>
    (await encodePages(face, texts, { truncate: true, ...parameters }, print))[0]!.key;
  const key = await keyOf(['a', 'b']);
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(await keyOf(['a', 'b'])).toBe(key);
  const others = [
    keyOf(['b', 'a']),
    keyOf(['a']),
    keyOf(['a', 'b'], { normalize: false }),
    keyOf(['a', 'b'], {}, 'other'),
  ];
  expect(new Set([key, ...(await Promise.all(others))]).size).toBe(5);
});
