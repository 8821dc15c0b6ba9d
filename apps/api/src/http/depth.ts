/** How deep JSON text is nested and how many fields it has, found on the raw bytes: parsing would already do the harm. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
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
}

/** Which limit the text is over, if any. One pass; what stands inside strings does not count. */
export function overLimit(json: Uint8Array, limits: JsonLimits): keyof JsonLimits | null {
  let depth = 0;
  let fields = 0;
  let lists = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = endOfString(json, at + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth > limits.depth) return 'depth';
      if (byte === OPEN_BRACE) fields += 1;
      else lists += 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
    } else if (byte === COLON) {
      fields += 1;
    }
    if (fields > limits.fields) return 'fields';
    if (lists > limits.lists) return 'lists';
  }
  return null;
}

/** The index of the closing quote of the string that starts at `from`, or the end of the text. */
function endOfString(json: Uint8Array, from: number): number {
  let at = from;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
