/**
 * What a tokenizer.json may ask of the library that runs it. The file comes from anywhere, and the library neither ends what takes
 * long nor bounds what it makes of a text: its regular expressions must not go back too often, texts must not grow too much.
 */
import { invalid } from '../repository/files.js';
import { backtracking, matchesNothing } from './backtracking.js';

/** Steps back in one match of the longest text that is tokenised: under the 10 million after which Oniguruma gives up. */
const MOST_STEPS = 9;
/** How many times longer a text may become before it is cut into words. */
const MOST_GROWTH = 12;
/** NFKC and NFKD make one character as many of one kind at most (U+3316). */
const COMPATIBILITY_GROWTH = 6;
const COMPATIBILITY: ReadonlySet<string> = new Set(['NFKC', 'NFKD', 'Precompiled']);
/** But for what a Replace says. */
const KEEPS_CHARACTERS: ReadonlySet<string> = new Set([
  ...[
    'Replace',
    'Prepend',
    'Strip',
    'Split',
    'Digits',
    'Punctuation',
    'Whitespace',
    'WhitespaceSplit',
    'BertPreTokenizer',
  ],
]);
const MOST_PARTS = 64;
const MOST_DEPTH = 8;
/** Characters that are put before a text, or before parts of a word. */
const MOST_PREFIX = 64;
/** Of a word that WordPiece takes apart, for which it tries each part: 100 in every published model. */
const MOST_WORD = 10_000;

type Json = Readonly<Record<string, unknown>>;

interface Part {
  /** Where it stands: `normalizer.normalizers[3]`. */
  readonly path: string;
  readonly type: string;
  readonly json: Json;
}

/** `tokenizer`: of `json` as parsed. @throws ShoalError `model_invalid` naming the field */
export function refuseTokenizer(tokenizer: unknown): void {
  if (!isObject(tokenizer)) throw refused('is not an object');
  const normalizers = partsOf(tokenizer.normalizer, 'normalizer', 'normalizers');
  const splits = partsOf(tokenizer.pre_tokenizer, 'pre_tokenizer', 'pretokenizers');
  const decoders = partsOf(tokenizer.decoder, 'decoder', 'decoders');
  const ends = partsOf(tokenizer.post_processor, 'post_processor', 'processors');
  const growth = checkGrowth([...normalizers, ...splits]);
  checkGrowth(decoders);
  for (const part of [...normalizers, ...splits]) checkRegex(part, growth);
  for (const part of decoders) checkRegex(part, 1);
  for (const part of ends) checkTemplate(part);
  checkModel(tokenizer.model);
}

/** A part, or those of a sequence, also of sequences in it. */
function partsOf(json: unknown, path: string, list: string, depth = 0): readonly Part[] {
  if (!isObject(json)) return [];
  if (depth > MOST_DEPTH) throw refused(`${path} is nested too deeply`);
  // The library guesses what it is then.
  if (typeof json.type !== 'string') throw refused(`${path}.type is missing`);
  if (json.type !== 'Sequence') return [{ path, type: json.type, json }];
  const inner = json[list];
  if (!Array.isArray(inner)) return [];
  if (inner.length > MOST_PARTS) throw refused(`${path}.${list} has more than ${MOST_PARTS} parts`);
  const parts = inner.flatMap((part, n) => partsOf(part, `${path}.${list}[${n}]`, list, depth + 1));
  if (parts.length > MOST_PARTS) throw refused(`${path} has more than ${MOST_PARTS} parts`);
  return parts;
}

/**
 * How many times longer texts become. What a part writes is read by those after it, whose growth multiplies; where they look for
 * characters that no part before wrote, one of both counts, unless characters become others between them.
 */
function checkGrowth(parts: readonly Part[]): number {
  const changes = parts.some(({ type }) => !KEEPS_CHARACTERS.has(type));
  let growth = parts.some(({ type }) => COMPATIBILITY.has(type)) ? COMPATIBILITY_GROWTH : 1;
  const written = new Set<string>();
  const seen = new Set<string>();
  for (const { path, type, json } of parts) {
    if (type === 'Prepend') checkPrefix(json.prepend, `${path}.prepend`);
    if (type === 'Replace') {
      const content = [...String(json.content ?? '')];
      const by = replaceGrowth(json.pattern, content.length);
      const sought = stringOf(json.pattern);
      const feeds = changes || sought === undefined || [...sought].some((character) => written.has(character));
      growth = feeds ? growth * by : Math.max(growth, by);
      for (const character of content) written.add(character);
    }
    // Bytes become characters of up to two bytes, and again; blanks come around each Chinese character.
    if (['ByteLevel', 'BertNormalizer'].includes(type) && seen.has(type)) growth *= 2;
    seen.add(type);
    if (growth > MOST_GROWTH) {
      throw refused(
        `${path} makes texts up to ${Math.ceil(growth)} times as long; at most ${MOST_GROWTH} times are taken`,
      );
    }
  }
  return growth;
}

function replaceGrowth(pattern: unknown, content: number): number {
  const text = stringOf(pattern);
  if (text !== undefined && text !== '') return Math.max(1, content / [...text].length);
  const regex = regexOf(pattern);
  // What matches nothing matches before each character.
  return regex !== undefined && isJudged(regex) && !matchesNothing(regex) ? Math.max(1, content) : content + 1;
}

function isJudged(regex: string): boolean {
  return !('refused' in backtracking(regex));
}

function checkRegex({ path, json }: Part, growth: number): void {
  const regex = regexOf(json.pattern);
  if (regex === undefined) return;
  const found = backtracking(regex);
  const shown = JSON.stringify(regex.length > 200 ? `${regex.slice(0, 200)}...` : regex);
  if ('refused' in found) throw refused(`${path}.pattern.Regex ${found.refused}: ${shown}`);
  if (found.perCharacter * growth <= MOST_STEPS) return;
  throw refused(`${path}.pattern.Regex goes back too often on the way through long texts: ${shown}`);
}

/** Special tokens around a text. */
function checkTemplate({ path, type, json }: Part): void {
  if (type !== 'TemplateProcessing') return;
  for (const field of ['single', 'pair']) {
    const pieces: unknown = json[field];
    if (!Array.isArray(pieces)) continue;
    const texts = pieces.filter((piece) => isObject(piece) && 'Sequence' in piece).length;
    if (pieces.length > MOST_PARTS || texts > 2) throw refused(`${path}.${field} has too many parts`);
  }
  const tokens = isObject(json.special_tokens) ? Object.entries(json.special_tokens) : [];
  for (const [name, token] of tokens) {
    if (!isObject(token) || !Array.isArray(token.ids) || token.ids.length <= MOST_PARTS) continue;
    throw refused(`${path}.special_tokens[${JSON.stringify(name)}] has more than ${MOST_PARTS} ids`);
  }
}

function checkModel(model: unknown): void {
  if (!isObject(model)) return;
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) checkPrefix(model[field], `model.${field}`);
  const { max_input_chars_per_word: longest } = model;
  if (typeof longest !== 'number' || longest <= MOST_WORD) return;
  throw refused(`model.max_input_chars_per_word is more than ${MOST_WORD}`);
}

function checkPrefix(text: unknown, path: string): void {
  if (typeof text !== 'string' || text.length <= MOST_PREFIX) return;
  throw refused(`${path} has more than ${MOST_PREFIX} characters`);
}

function stringOf(pattern: unknown): string | undefined {
  return isObject(pattern) && typeof pattern.String === 'string' ? pattern.String : undefined;
}

function regexOf(pattern: unknown): string | undefined {
  return isObject(pattern) && typeof pattern.Regex === 'string' ? pattern.Regex : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(message: string) {
  return invalid(`tokenizer.json: ${message}`);
}
