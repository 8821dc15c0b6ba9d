/** How deep JSON text is nested and how much it holds, found on the raw bytes: parsing would already do the harm. */
import { placeOfFault } from './json-fault.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export interface JsonLimits {
  /** Most levels of arrays and objects. */
  readonly depth: number;
  /** Most objects and fields of objects together: each costs the parser a hundred times its bytes. */
  readonly fields: number;
  /** Most arrays. */
  readonly lists: number;
  /** Most values of any kind, nearly: commas and opening brackets. */
  readonly values?: number;
}

/** Which limit the text is over, if any. One pass; what stands inside strings does not count. */
export function overLimit(json: Uint8Array, limits: JsonLimits): keyof JsonLimits | null {
  const { values = Number.POSITIVE_INFINITY } = limits;
  let depth = 0;
  let fields = 0;
  let lists = 0;
  let brackets = 0;
  let commas = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = endOfString(json, at + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      brackets += 1;
      if (depth > limits.depth) return 'depth';
      if (byte === OPEN_BRACE) fields += 1;
      else lists += 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
    } else if (byte === COLON) {
      fields += 1;
    } else if (byte === COMMA) {
      commas += 1;
    }
    if (fields > limits.fields) return 'fields';
    if (lists > limits.lists) return 'lists';
    if (brackets + commas > values) return 'values';
  }
  return null;
}

/** Of files from strangers: real ones are nested some ten deep. */
const FILE_DEPTH = 64;
/** What a file may hold where nothing else is said: parsed and checked it takes some hundred bytes for each. */
const FILE_VALUES = 2 ** 20;

/**
 * Parses a JSON file from a stranger; `most` bounds its values.
 *
 * @throws Error whose message follows the file's name: `is not valid JSON`
 */
export function parseJsonFile(bytes: Uint8Array, most = FILE_VALUES): unknown {
  refuseJsonFile(bytes, most);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`is not valid JSON: see ${placeOfFault(text)}`, { cause });
  }
}

/** The bounds of `parseJsonFile` alone, for whoever hands the text to another parser. */
export function refuseJsonFile(bytes: Uint8Array, most = FILE_VALUES): void {
  const unbounded = Number.POSITIVE_INFINITY;
  const over = overLimit(bytes, { depth: FILE_DEPTH, fields: unbounded, lists: unbounded, values: most });
  if (over === 'depth') throw new Error(`is not valid: it is nested more than ${FILE_DEPTH} deep`);
  if (over !== null) throw new Error(`is not valid: it has more than ${most} values`);
}

/** The index of the closing quote of the string that starts at `from`, or the end of the text. */
function endOfString(json: Uint8Array, from: number): number {
  let at = from;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
