/** Tokenizers of three kinds, for tests of what comes out of tokens. */
import { readFileSync } from 'node:fs';
import tokenizers from 'tokenizers';

export interface TestTokenizer {
  readonly json: string;
  readonly tokenizer: tokenizers.Tokenizer;
}

const ofModel = (name: string) =>
  readFileSync(new URL(`../../../../../models/${name}/1/tokenizer.json`, import.meta.url), 'utf8');

export function testTokenizer(kind: 'byte-level' | 'WordPiece' | 'byte fallback'): TestTokenizer {
  const json =
    kind === 'byte-level' ? ofModel('wordnet-lm') : kind === 'WordPiece' ? ofModel('wordnet-topic') : byteFallback();
  const tokenizer = tokenizers.Tokenizer.fromString(json);
  tokenizer.disableTruncation();
  tokenizer.disablePadding();
  return { json, tokenizer };
}

/** As SentencePiece models are converted (Llama 2, Mistral 7B): `▁` for blanks, bytes for characters without a token. */
function byteFallback(): string {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', ...'etaoinshrdlu,.', 'é', '▁t', 'he', '▁the'];
  const special = ['<unk>', '<s>', '</s>'].map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  return JSON.stringify({
    version: '1.0',
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ['▁ t', 'h e', '▁t he'],
    },
  });
}
