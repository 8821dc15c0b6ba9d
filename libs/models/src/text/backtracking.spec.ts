import { expect, test } from 'vitest';
import { backtracking, matchesNothing } from './backtracking.js';

const R = String.raw;
const CONTRACTIONS = R`(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const SPACES = R`\s*[\r\n]+|\s+(?!\S)|\s+`;
const UPPER = R`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = R`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;

/** What tokenizer.json of published models have (on the Hugging Face Hub, by the model that had it first). */
test.each([
  ['GPT-2', R`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`],
  ['CLIP', R`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`],
  ['BLOOM', R` ?[^(\s|[.,!?…。，、।۔،])]+`],
  ['Llama 3', R`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`],
  ['Qwen2', R`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`],
  [
    'cl100k, possessive',
    R`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
  ],
  [
    'o200k',
    R`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${SPACES}`,
  ],
  [
    'Kimi K2',
    R`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+${CONTRACTIONS}?|\p{N}{1,3}|${SPACES}`,
  ],
  ['DeepSeek-Coder', R`\s?\p{L}+`],
  ['DeepSeek LLM', R`\s?[!-/:-~！-／：-～‘-‟　-。]+`],
  ['DeepSeek LLM, spaces', R`\s+$`],
  ['DeepSeek V2', '[一-龥ࠀ-一가-퟿]+'],
  [
    'DeepSeek V3',
    R`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${'`'}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${SPACES}`,
  ],
  ['Falcon', '[0-9][0-9][0-9]'],
  ['AFMoE', R`\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))`],
  ['SuperBPE', R`(?=(\d{3})+(?!\d))`],
  ['Chameleon', '(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z'],
  ['T5, XLM-RoBERTa', ' {2,}'],
  ['CLIP, spaces', R`\s+`],
  [
    'ChemBERTa',
    R`(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])`,
  ],
])('takes that of %s', (_, pattern) => {
  expect(backtracking(pattern)).toEqual({ perCharacter: expect.any(Number) });
});

test.each([
  [R`\p{L}+|\s+`, 0],
  [R`\s*[\r\n]+`, 1],
  [R`[^a]?\s*[\r\n]+`, 2],
  [R`a{0,2}\s+(?!\S)`, 3],
])('counts how often %s goes back for a character of a text: %i', (pattern, perCharacter) => {
  expect(backtracking(pattern)).toEqual({ perCharacter });
});

const AGAIN = 'repeats what can match the same text in several ways';
const DIVIDED = 'can divide a text between its repetitions in too many ways';

test.each([
  ['(a|a|a|a|aa)+$', AGAIN],
  ['(a+)+$', AGAIN],
  ['(?:a*)*b', 'repeats what can be empty'],
  ['(?:(?:a?){50})*', AGAIN],
  [R`(?:\w|\d)+x`, AGAIN],
  ['(?:a|ab)*c', AGAIN],
  // Alike where case means nothing.
  ['(?i:k|\u212a)+$', AGAIN],
  ['(?i)(?:s|\u017f)+$', AGAIN],
  ['((a{0,9}){0,9}){0,9}b', AGAIN],
  [`${'a?'.repeat(30)}b`, 'can match the same text in too many ways'],
  [`${'(a|a)'.repeat(30)}b`, 'can match the same text in too many ways'],
  ['a*a*b', DIVIDED],
  ['a*(?=a*b)', DIVIDED],
  ['(?:a*|b)a*c', DIVIDED],
  ['a{0,1000}a{0,1000}b', DIVIDED],
  [R`(a)\1+b`, 'has a backreference'],
  [R`(?<x>a\g<x>?)b`, 'has a call'],
  [R`a\Kb`, 'has \\K'],
  ['(?:(?:a{1000}){1000}){1000}', 'repeats too much'],
  ['('.repeat(60) + ')'.repeat(60), 'is nested too deeply'],
  ['a'.repeat(8193), 'has more than 8192 characters'],
])('refuses %s', (pattern, why) => {
  expect(backtracking(pattern)).toEqual({ refused: why });
});

test('refuses what cannot be read, also where reading it takes too much of the stack', () => {
  for (const pattern of ['(a', '[', `${'('.repeat(4000)}${')'.repeat(4000)}`]) {
    expect(backtracking(pattern)).toEqual({ refused: expect.any(String) });
  }
});

test('tells what can match nothing', () => {
  expect(['a*', 'a|', '(?=a)', '', '(?:a?){3}'].map(matchesNothing)).toEqual([true, true, true, true, true]);
  expect(['a', 'a+b*', '(?:a|b)', '^a'].map(matchesNothing)).toEqual([false, false, false, false]);
});
