/**
 * How texts are cut into words before they are tokenised: GGUF files only name the way (`tokenizer.ggml.pre`). What the names
 * stand for is what the tokenizer.json of the models says that they were given for.
 */
import { invalid } from '../invalid.js';

/** Parts of a tokenizer.json that a name decides. */
export interface PreTokenizer {
  readonly normalizer: object | null;
  readonly preTokenizer: object;
  /** Whether a word that is a token is one, whatever merges say. */
  readonly ignoreMerges: boolean;
  /** Whether a text begins with the begin token where the metadata does not say. */
  readonly addBos: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;

/** cl100k of OpenAI; the length of runs of digits differs. */
const cl100k = (digits: string) =>
  String.raw`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`;

/** o200k of OpenAI; Mistral's has no contractions, and single digits. */
const o200k = (contractions: string, digits: string) => {
  const [upper, lower] = [String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`];
  const start = String.raw`[^\r\n\p{L}\p{N}]?`;
  const words = `${start}${upper}*${lower}+${contractions}|${start}${upper}+${lower}*${contractions}`;
  return String.raw`${words}|${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${SPACES}`;
};

const CJK = '[一-龥ࠀ-一가-퟿]+';

/** Letters of alphabets that have capitals, as DeepSeek lists them; by number, since some are written like others. */
const CASED =
  'A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373' +
  '\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f' +
  '\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77' +
  '\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d' +
  '\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb' +
  '\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128' +
  '\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4' +
  '\u2ceb-\u2cee\u2cb2\u2cb3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf' +
  '\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\u{10400}-\u{1044f}\u{104b0}-\u{104d3}' +
  '\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}';

const split = (regex: string) => ({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false });
/** Bytes become characters that can be seen; GPT-2's own way of cutting goes before where nothing else does. */
const bytes = (gpt2: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: gpt2 });
const SINGLE_DIGITS = { type: 'Digits', individual_digits: true };

function way(parts: readonly object[], more: Partial<PreTokenizer> = {}): PreTokenizer {
  const preTokenizer = parts.length === 1 ? parts[0]! : { type: 'Sequence', pretokenizers: parts };
  return { normalizer: null, preTokenizer, ignoreMerges: false, addBos: false, ...more };
}

const GPT2 = way([bytes(true)]);
const STARCODER = way([SINGLE_DIGITS, bytes(true)]);
const LLAMA3 = way([split(cl100k(String.raw`\p{N}{1,3}`)), bytes(false)], { ignoreMerges: true, addBos: true });

const WAYS: Readonly<Record<string, PreTokenizer>> = {
  'deepseek-coder': way([
    ...['[\r\n]', String.raw`\s?\p{L}+`, String.raw`\s?\p{P}+`, CJK].map(split),
    SINGLE_DIGITS,
    bytes(false),
  ]),
  'deepseek-llm': way([
    ...['[\r\n]', `\\s?[${CASED}]+`, String.raw`\s?[!-/:-~！-／：-～‘-‟　-。]+`, String.raw`\s+$`, CJK].map(split),
    SINGLE_DIGITS,
    bytes(false),
  ]),
  'deepseek-r1-qwen': way([split(cl100k(String.raw`\p{N}`)), bytes(false)]),
  'deepseek-v3': way([
    split(String.raw`\p{N}{1,3}`),
    split('[一-龥぀-ゟ゠-ヿ]+'),
    split(
      String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${'`'}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${SPACES}`,
    ),
    bytes(false),
  ]),
  /** Without Llama 3's rule for words that are tokens: OLMo 2, Phi-4. */
  dbrx: { ...LLAMA3, ignoreMerges: false, addBos: false },
  'gpt-2': GPT2,
  'gpt-4o': way([split(o200k(`${CONTRACTIONS}?`, String.raw`\p{N}{1,3}`)), bytes(false)]),
  'llama-bpe': LLAMA3,
  'llama-v3': LLAMA3,
  llama3: LLAMA3,
  /** GPT-NeoX's: characters that can be written in two ways are composed. */
  olmo: { ...GPT2, normalizer: { type: 'NFC' } },
  'phi-2': GPT2,
  qwen2: way([split(cl100k(String.raw`\p{N}`)), bytes(false)], { normalizer: { type: 'NFC' } }),
  /** Granite 3. */
  refact: STARCODER,
  /** Llama 3's without a begin token: SmolLM3. */
  'smaug-bpe': { ...LLAMA3, addBos: false },
  smollm: STARCODER,
  starcoder: STARCODER,
  tekken: way([split(o200k('', String.raw`\p{N}`)), bytes(false)], { ignoreMerges: true, addBos: true }),
};

/** @throws ShoalError `model_invalid` where the name is missing or not known: a guess would read texts wrongly, and not show it */
export function preTokenizerOf(name: string | undefined): PreTokenizer {
  if (name !== undefined && Object.hasOwn(WAYS, name)) return WAYS[name]!;
  const what =
    name === undefined || name === 'default'
      ? 'tokenizer.ggml.pre in the metadata does not say how texts are cut into words: take a newer file of the model, or import its checkpoint'
      : `tokenizer.ggml.pre in the metadata is ${JSON.stringify(name.slice(0, 100))}, which is not supported: import the checkpoint of the model`;
  throw invalid(`${what}; supported are ${Object.keys(WAYS).join(', ')}`);
}
