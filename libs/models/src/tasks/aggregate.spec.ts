import { expect, test } from 'vitest';
import { type AggregationStrategy, aggregate, type ScoredToken } from './aggregate.js';

const LABELS = ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC'];

/** Tokens of `text` given as `piece label score`; a piece that starts with # continues the word before. */
function tokens(text: string, ...pieces: readonly (readonly [piece: string, label: string, score: number])[]) {
  let at = 0;
  let word = -1;
  return pieces.map(([piece, label, score]): ScoredToken => {
    const plain = piece.replace('#', '');
    if (plain === piece) word++;
    const start = text.indexOf(plain, at);
    at = start + plain.length;
    const scores = new Float32Array(LABELS.length);
    scores[0] = 1 - score;
    scores[LABELS.indexOf(label)] = score;
    return { scores, start, end: at, word };
  });
}

const TEXT = 'Ada Lovelace in London';
const TOKENS = tokens(
  TEXT,
  ['Ada', 'B-PER', 1],
  ['Love', 'I-PER', 0.625],
  ['#lace', 'B-LOC', 0.75],
  ['in', 'O', 1],
  ['London', 'B-LOC', 1],
);

function shown(strategy: AggregationStrategy, ignored = ['O'], list = TOKENS, text = TEXT) {
  return aggregate(list, text, LABELS, strategy, ignored).map(({ label, word, score }) => [LABELS[label], word, score]);
}

test('none keeps every token with its own label', () => {
  expect(shown('none')).toEqual([
    ['B-PER', 'Ada', 1],
    ['I-PER', 'Love', 0.625],
    ['B-LOC', 'lace', 0.75],
    ['B-LOC', 'London', 1],
  ]);
});

test('simple joins neighbours of one tag and may cut through a word', () => {
  expect(shown('simple')).toEqual([
    ['B-PER', 'Ada Love', 0.8125],
    ['B-LOC', 'lace', 0.75],
    ['B-LOC', 'London', 1],
  ]);
});

test('first, max and average decide for whole words', () => {
  expect(shown('first')[0]).toEqual(['B-PER', 'Ada Lovelace', 0.8125]);
  expect(shown('max').slice(0, 2)).toEqual([
    ['B-PER', 'Ada', 1],
    ['B-LOC', 'Lovelace', 0.75],
  ]);
  // Means: O 0.3125, I-PER 0.3125, B-LOC 0.375.
  expect(shown('average')[1]).toEqual(['B-LOC', 'Lovelace', 0.375]);
});

test('labels to ignore are given as labels or as tags', () => {
  expect(shown('simple', ['O', 'LOC']).map(([, word]) => word)).toEqual(['Ada Love']);
  expect(shown('none', ['O', 'B-LOC']).map(([, word]) => word)).toEqual(['Ada', 'Love']);
  expect(shown('simple', []).map(([label]) => label)).toContain('O');
});

test('a beginning cuts two entities of one tag apart', () => {
  const list = tokens('Ada Bob', ['Ada', 'B-PER', 1], ['Bob', 'B-PER', 1]);
  expect(shown('simple', ['O'], list, 'Ada Bob').map(([, word]) => word)).toEqual(['Ada', 'Bob']);
});

test('BIOES: an end and a single close the entity', () => {
  const labels = ['O', 'E-PER', 'S-PER', 'I-PER'];
  const token = (label: number, start: number): ScoredToken => {
    return { scores: Float32Array.from(labels, (_, i) => Number(i === label)), start, end: start + 1, word: start };
  };
  const list = [token(3, 0), token(1, 1), token(3, 2), token(2, 3), token(3, 4)];
  expect(aggregate(list, 'abcde', labels, 'simple', ['O']).map(({ word }) => word)).toEqual(['ab', 'c', 'd', 'e']);
});
