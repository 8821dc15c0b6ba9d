/**
 * Tokenising with Hugging Face's own Rust library. It encodes on libuv's threads (a text of 200,000 tokens holds the
 * event loop for 4 ms of its 580 ms), so no worker threads of ours are needed. Concurrent calls share a batch: about
 * 30 µs a text, where calls one after the other take 240 µs each.
 */
import { ShoalError } from '@shoal/contracts';
import tokenizers from 'tokenizers';
import { invalid, readJsonText } from '../repository/files.js';
import type { Model } from '../types.js';
import { refuseTokenizer } from './check-tokenizer.js';
import { Coalescer } from './coalescer.js';
import { lowerCased } from './lower-case.js';
import { PairTemplate } from './pairs.js';
import { type StreamDecoder, streamDecoder } from './text-stream.js';
import { type TokenTexts, tokenTexts } from './token-texts.js';

/** Texts of one batch, and their length in UTF-16 units: whoever comes next waits for some 30 ms of it. */
const MAX_BATCH = 64;
const MAX_LENGTH = 64 * 1024;
/** One batch encodes while the results of another are read. */
const LANES = 2;

/**
 * Longest text that is tokenised, in UTF-16 units, whatever a body may hold: the library ends the whole process where its
 * regular expressions go back 10 million times for one match, and honest ones do so on runs of 5 million characters.
 */
export const MAX_TEXT = 1024 * 1024;

export type TextOrPair = string | [text: string, pair: string];
export type Encoding = tokenizers.Encoding;

export interface TextTokenizer {
  readonly vocabSize: number;
  /**
   * Ids and offsets of a text or pair, special tokens included; cut to the model's longest input if `truncate`.
   *
   * @throws ShoalError `input_too_long` where a text has more than `MAX_TEXT` UTF-16 units
   */
  encode(input: TextOrPair, truncate: boolean): Promise<Encoding>;
  /** Ids of a text alone, without special tokens. Throws as `encode` does. */
  plainIds(text: string): Promise<Uint32Array>;
  /** What single tokens say. */
  tokens(): TokenTexts;
  /** How pairs are made of two texts; null where they have to be tokenised together. */
  pairTemplate(): Promise<PairTemplate | null>;
}

/** Loads the tokenizer of a model folder. Throws `model_invalid`. */
export async function loadTokenizer(model: Model, maxTokens: number): Promise<TextTokenizer> {
  const file = await readJsonText(model.folder, 'tokenizer.json');
  if (file === null) throw invalid(`${model.name}: tokenizer.json is missing`);
  const { lowerCase = false, truncationSide = 'right' } = model.text ?? {};
  const json = lowerCase ? lowerCased(file) : file;
  const plain = checked(json, model.name);
  const whole = coalescer(plain);
  const bare = coalescer(plain, { addSpecialTokens: false });
  let template: Promise<PairTemplate | null> | undefined;
  let cut: Coalescer<TextOrPair, Encoding> | undefined;
  return {
    vocabSize: plain.getVocabSize(true),
    async encode(input, truncate) {
      checkLength(input);
      if (!truncate) return whole.run(input);
      // Truncation is a setting of the tokenizer, not of a call: those who ask for it share a second one.
      cut ??= coalescer(truncating(parse(json, model.name), maxTokens, truncationSide));
      return cut.run(input);
    },
    async plainIds(text) {
      checkLength(text);
      return Uint32Array.from((await bare.run(text)).getIds());
    },
    tokens: () => tokenTexts(JSON.parse(json), (id) => plain.idToToken(id) ?? null),
    pairTemplate() {
      template ??= PairTemplate.find((input, { addSpecialTokens }) => (addSpecialTokens ? whole : bare).run(input));
      return template;
    },
  };
}

/** Whether the tokenizer.json of a folder can be loaded, where there is one. Throws `model_invalid`. */
export async function checkTokenizer(folder: string): Promise<void> {
  const json = await readJsonText(folder, 'tokenizer.json');
  if (json !== null) checked(json);
}

/** `name`: of the model. What the file asks for is looked at before the library does it. */
function checked(json: string, name?: string): tokenizers.Tokenizer {
  let tokenizer: unknown;
  try {
    tokenizer = JSON.parse(json);
  } catch (cause) {
    throw invalid(`${whose(name)}tokenizer.json is not valid JSON`, cause);
  }
  refuseTokenizer(tokenizer);
  return parse(json, name);
}

const whose = (name: string | undefined) => (name === undefined ? '' : `${name}: `);

function parse(json: string, name?: string): tokenizers.Tokenizer {
  try {
    const tokenizer = tokenizers.Tokenizer.fromString(json);
    // Files saved by sentence-transformers bring both along; limits and padding are decided here.
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    return tokenizer;
  } catch (cause) {
    throw invalid(`${whose(name)}tokenizer.json is not a tokenizer: ${(cause as Error).message}`, cause);
  }
}

function truncating(tokenizer: tokenizers.Tokenizer, maxTokens: number, side: 'left' | 'right'): tokenizers.Tokenizer {
  tokenizer.setTruncation(maxTokens, { direction: side });
  return tokenizer;
}

function coalescer(tokenizer: tokenizers.Tokenizer, options = {}): Coalescer<TextOrPair, Encoding> {
  const limits = { maxBatch: MAX_BATCH, maxSize: MAX_LENGTH, sizeOf: lengthOf, lanes: LANES };
  return new Coalescer((inputs) => encodeAll(tokenizer, inputs, options), limits);
}

function checkLength(input: TextOrPair): void {
  for (const { length } of typeof input === 'string' ? [input] : input) {
    if (length <= MAX_TEXT) continue;
    throw new ShoalError('input_too_long', `has ${length} characters; no more than ${MAX_TEXT} are tokenised`);
  }
}

function lengthOf(input: TextOrPair): number {
  return typeof input === 'string' ? input.length : input[0].length + input[1].length;
}

/** `encodeBatch` takes no pairs of plain strings. */
async function encodeAll(
  tokenizer: tokenizers.Tokenizer,
  inputs: TextOrPair[],
  options: tokenizers.EncodeOptions,
): Promise<Encoding[]> {
  if (inputs.every((input) => typeof input === 'string')) return await tokenizer.encodeBatch(inputs, options);
  const encode = (input: TextOrPair) => {
    const [text, pair] = typeof input === 'string' ? [input] : input;
    return tokenizer.encode(text, pair ?? null, options);
  };
  return await Promise.all(inputs.map(encode));
}

/** Loads what reads a model's tokens as they come: with special tokens left out, or shown. Throws `model_invalid`. */
export async function loadStreamDecoders(model: Model): Promise<(skipSpecialTokens: boolean) => StreamDecoder> {
  const json = await readJsonText(model.folder, 'tokenizer.json');
  if (json === null) throw invalid(`${model.name}: tokenizer.json is missing`);
  const tokenizer = checked(json, model.name);
  const [shown, skipped] = [false, true].map((skip) => streamDecoder(tokenizer, json, skip));
  return (skipSpecialTokens) => (skipSpecialTokens ? skipped! : shown!);
}
