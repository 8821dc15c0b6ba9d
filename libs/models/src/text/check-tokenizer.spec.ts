import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { describe, expect, test } from 'vitest';
import { refuseTokenizer } from './check-tokenizer.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

const files = ['test/fixtures', 'models'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /(^|\/)tokenizer\.json$/.test(file))
    .map((file) => join(folder, file)),
);

test.each(files)('takes %s', (file) => {
  refuseTokenizer(JSON.parse(readFileSync(join(ROOT, file), 'utf8')));
});

const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const normalizer = (...normalizers: object[]) => ({ normalizer: { type: 'Sequence', normalizers } });
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

function refusal(tokenizer: object): string {
  try {
    refuseTokenizer(tokenizer);
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'model_invalid') return error.message;
    throw error;
  }
  return 'taken';
}

const BAD = '(a|a|a|a|aa)+$';

describe('regular expressions that go back too often', () => {
  test.each([
    ['pre_tokenizer', { pre_tokenizer: split(BAD) }],
    [
      'pre_tokenizer.pretokenizers[0].pretokenizers[1]',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [{ type: 'Sequence', pretokenizers: [split('a'), split(BAD)] }],
        },
      },
    ],
    ['normalizer.normalizers[1]', normalizer({ type: 'NFC' }, replace({ Regex: BAD }, ''))],
    ['decoder.decoders[0]', { decoder: { type: 'Sequence', decoders: [replace({ Regex: BAD }, '')] } }],
  ])('are refused in %s', (path, tokenizer) => {
    expect(refusal(tokenizer)).toBe(
      `tokenizer.json: ${path}.pattern.Regex repeats what can match the same text in several ways: ${JSON.stringify(BAD)}`,
    );
  });

  test('are refused where it is the growth of a text that makes it too often', () => {
    const o200k = { pre_tokenizer: split('a?b*c') };
    expect(refusal(o200k)).toBe('taken');
    const grown = { ...o200k, ...normalizer(replace({ String: 'x' }, 'bbbbb')) };
    expect(refusal(grown)).toContain('goes back too often on the way through long texts: "a?b*c"');
  });
});

describe('growth', () => {
  const doubling = replace({ String: '☃' }, '☃☃');

  test.each([
    ['doubled again and again', normalizer(...many(26, doubling))],
    ['one that is long', normalizer(replace({ String: 'a' }, 'b'.repeat(13)))],
    ['what matches nothing', normalizer(replace({ Regex: 'x*' }, 'b'.repeat(12)))],
    ['an expression', normalizer(...many(5, replace({ Regex: '.' }, 'bb')))],
    ['one that feeds another', normalizer(replace({ String: 'a' }, 'bbbb'), replace({ String: 'b' }, 'cccc'))],
    [
      'one that feeds another in lower case',
      normalizer(...many(5, [replace({ String: 'a' }, 'AA'), { type: 'Lowercase' }]).flat()),
    ],
    ['bytes of bytes', { pre_tokenizer: { type: 'Sequence', pretokenizers: many(26, { type: 'ByteLevel' }) } }],
    ['a decoder', { decoder: { type: 'Sequence', decoders: many(26, doubling) } }],
    ['compatibility', normalizer({ type: 'NFKC' }, replace({ String: 'a' }, 'bbb'))],
  ])('is refused: %s', (_, tokenizer) => {
    expect(refusal(tokenizer)).toMatch(/^tokenizer\.json: \S+\[\d+\] makes texts up to \d+ times as long/);
  });

  test.each([
    ['of Llama 2', normalizer({ type: 'Prepend', prepend: '▁' }, replace({ String: ' ' }, '▁'))],
    [
      'words for signs',
      normalizer(
        replace({ String: '&' }, ' and '),
        replace({ String: '%' }, ' percent '),
        replace({ Regex: ' {2,}' }, ' '),
      ),
    ],
    [
      'of ALBERT',
      normalizer(
        replace({ String: '``' }, '"'),
        replace({ String: "''" }, '"'),
        ...[{ type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Lowercase' }, { type: 'Precompiled' }],
        replace({ Regex: ' {2,}' }, ' '),
      ),
    ],
  ])('is taken: %s', (_, tokenizer) => {
    expect(refusal(tokenizer)).toBe('taken');
  });

  test('by what comes around a text or before a part of a word is bounded, and named', () => {
    const template = (single: object[], ids = [1]) => ({
      post_processor: { type: 'TemplateProcessing', single, pair: [], special_tokens: { '[CLS]': { ids } } },
    });
    const text = { Sequence: { id: 'A', type_id: 0 } };
    const long = 'x'.repeat(65);
    expect(refusal(template([text]))).toBe('taken');
    expect(refusal(template(many(3, text)))).toContain('post_processor.single');
    expect(refusal(template(many(65, { SpecialToken: {} })))).toContain('post_processor.single');
    expect(refusal(template([text], many(65, 1)))).toContain('post_processor.special_tokens["[CLS]"]');
    expect(refusal(normalizer({ type: 'Prepend', prepend: long }))).toContain('normalizers[0].prepend');
    expect(refusal({ model: { continuing_subword_prefix: long } })).toContain('model.continuing_subword_prefix');
    expect(refusal({ model: { max_input_chars_per_word: 1e9 } })).toContain('model.max_input_chars_per_word');
  });
});

test('refuses sequences without end, and parts whose type would be guessed', () => {
  expect(refusal(normalizer(...many(65, { type: 'NFC' })))).toContain('more than 64 parts');
  let nested: object = { type: 'NFC' };
  for (let n = 0; n < 10; n++) nested = { type: 'Sequence', normalizers: [nested] };
  expect(refusal({ normalizer: nested })).toContain('nested too deeply');
  expect(refusal({ pre_tokenizer: { pretokenizers: [split(BAD)] } })).toContain('pre_tokenizer.type is missing');
});
