/** The vocabulary of a GGUF file: tokens with their types and scores, and which of them have a part to play. */
import { invalid } from '../invalid.js';
import { type Metadata, needed } from './metadata.js';

/** llama_token_type */
export const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
export const USER_DEFINED = 4;

/** Of the largest vocabularies the longest tokens have some hundred bytes. */
const MAX_TOKEN_LENGTH = 4096;
/** The largest vocabularies have some 300,000. Each token takes a few kilobytes while its tokenizer is made. */
const MAX_TOKENS = 2 ** 19;

export interface Vocabulary {
  /** By id. No two are equal. */
  readonly texts: readonly string[];
  readonly types: readonly number[];
  /** Of SentencePiece: the higher, the sooner it is made. */
  readonly scores: readonly number[] | undefined;
  /** Ids of those that the metadata names, where it does. */
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly unknown: number | undefined;
  readonly padding: number | undefined;
  /** After which an answer is complete. */
  readonly ends: readonly number[];
}

/** Control tokens after which a turn is over, by the names that models give them. */
const TURN_ENDS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
]);

/** @throws ShoalError `model_invalid` naming the key that is missing or does not fit */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const at = (key: string) => `tokenizer.ggml.${key}`;
  const texts = needed(metadata.texts(at('tokens')), at('tokens')).map((text, id) => text || `[EMPTY_${id}]`);
  if (texts.length > MAX_TOKENS)
    throw invalid(`${at('tokens')} has ${texts.length} tokens; at most ${MAX_TOKENS} are read`);
  const long = texts.findIndex((text) => text.length > MAX_TOKEN_LENGTH);
  if (long >= 0) throw invalid(`${at('tokens')}: token ${long} is too long`);
  const ids = new Map(texts.map((text, id) => [text, id]));
  if (ids.size < texts.length) {
    const twice = texts.find((text, id) => ids.get(text) !== id) ?? '';
    throw invalid(`${at('tokens')} has ${JSON.stringify(twice.slice(0, 100))} twice`);
  }
  const fitting = (key: string) => {
    const list = metadata.numbers(at(key));
    if (list === undefined || list.length === texts.length) return list;
    throw invalid(`${at(key)} has ${list.length} items for ${texts.length} tokens`);
  };
  const types = fitting('token_type') ?? texts.map(() => NORMAL);
  const id = (key: string) => {
    const value = metadata.number(at(`${key}_token_id`));
    // Old converters wrote -1 where there is none.
    return value !== undefined && Number.isInteger(value) && value >= 0 && value < texts.length ? value : undefined;
  };
  const [bos, eos] = [id('bos'), id('eos')];
  const named = [...TURN_ENDS].flatMap((text) => ids.get(text) ?? []).filter((end) => types[end] === CONTROL);
  const ends = [eos, id('eot'), id('eom'), ...named].filter((end) => end !== undefined);
  return {
    ...{ texts, types, scores: fitting('scores'), bos, eos },
    ...{ unknown: id('unknown'), padding: id('padding'), ends: [...new Set(ends)] },
  };
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: false;
  readonly rstrip: boolean;
  readonly normalized: false;
  readonly special: boolean;
}

/** Those that are found in a text before it is cut into words. A `special` one is no part of an answer's text. */
export function addedTokens(
  { texts, types }: Vocabulary,
  { isAdded, takesSpace }: { isAdded: (text: string) => boolean; takesSpace: (text: string) => boolean },
): readonly AddedToken[] {
  return texts.flatMap((content, id) => {
    const special = types[id] === CONTROL || types[id] === UNKNOWN;
    if (!special && (types[id] !== USER_DEFINED || !isAdded(content))) return [];
    const rstrip = special && takesSpace(content);
    return [{ id, content, single_word: false, lstrip: false, rstrip, normalized: false, special }];
  });
}
