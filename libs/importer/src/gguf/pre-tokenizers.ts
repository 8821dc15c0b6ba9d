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

/** Letters of alphabets that have capitals, as DeepSeek lists them. */
const CASED =
  'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ' +
  'ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⲲⲳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃';

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
