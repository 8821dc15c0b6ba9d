import { expect, test } from 'vitest';
import { rescanned } from './scanning.js';

const R = String.raw;
const CONTRACTIONS = R`(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const SPACES = R`\s*[\r\n]+|\s+(?!\S)|\s+`;
const UPPER = R`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = R`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;

test.each([
  R`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  R`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`,
  R`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
  R`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\p{N}{1,3}|${SPACES}`,
  R` ?[^(\s|[.,!?…。，、।۔،])]+`,
  R`\s?\p{L}+`,
  ' {2,}',
  R`((?:${SPACES}))`,
])('a text is read once by %s', (pattern) => {
  expect(rescanned(pattern)).toEqual([]);
});

const SPACE = R`\p{White_Space}`;

test.each([
  [R`\s+$`, [SPACE]],
  [R`\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))`, [R`\p{N}`]],
  [R`(?=(\d{3})+(?!\d))`, [R`\p{Nd}`]],
  [R`\[[^\]]+]|\s+`, [null]],
  ['a*b', [null]],
  ['(?=.*b)c', [null]],
  ['a++b', [null]],
  [R`\s*x|\s|\s+`, [SPACE]],
  [R`\s*x|a?\s+`, [SPACE]],
  [R`\s*?x|\s+`, [SPACE]],
  [R`\s*(?=\s*x)|\s+`, [SPACE, SPACE]],
  [R`\s{1000,}`, [SPACE]],
  [R`(\s+|b)x`, [SPACE]],
])('one is read again and again by %s', (pattern, classes) => {
  expect(rescanned(pattern)).toEqual(classes);
});
