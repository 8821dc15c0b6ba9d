/** What single tokens say, in bytes: as the decoder that tokenizer.json names would write them, one by one. */
import { z } from 'zod';

/** What the tokens of a model say. */
export interface TokenTexts {
  /** UTF-8; a token may be a part of a character. Empty for ids that no token has. */
  bytesOf(id: number): Uint8Array;
  /** The text of tokens that belong together. */
  textOf(ids: Uint32Array, skipSpecial: boolean): string;
}

const Decoder = z.object({ type: z.string(), decoders: z.array(z.object({ type: z.string() })).default([]) });
const TokenizerJson = z.object({
  added_tokens: z
    .array(z.object({ id: z.int(), content: z.string(), special: z.boolean().default(false) }))
    .default([]),
  decoder: Decoder.nullish(),
});

const NOTHING = new Uint8Array(0);

/** `json`: tokenizer.json. `nameOf`: a token as the vocabulary has it, null for ids that no token has. */
export function tokenTexts(json: unknown, nameOf: (id: number) => string | null): TokenTexts {
  const { added_tokens: added, decoder } = TokenizerJson.parse(json);
  const literal = new Map(added.map(({ id, content }) => [id, content]));
  const special = new Set(added.flatMap(({ id, special }) => (special ? [id] : [])));
  const byteLevel = [decoder, ...(decoder?.decoders ?? [])].some((part) => part?.type === 'ByteLevel');
  const bytesOf = (id: number): Uint8Array => {
    const content = literal.get(id);
    if (content !== undefined) return Buffer.from(content);
    const name = nameOf(id);
    if (name === null) return NOTHING;
    return byteLevel ? byteLevelBytes(name) : pieceBytes(name);
  };
  return {
    bytesOf,
    textOf(ids, skipSpecial) {
      const shown = skipSpecial ? ids.filter((id) => !special.has(id)) : ids;
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(Array.from(shown, bytesOf)));
      // Its tokenizers put a space before the first word.
      return byteLevel || !text.startsWith(' ') ? text : text.slice(1);
    },
  };
}

/** Bytes that stand for themselves. */
const VISIBLE = 188;

/** GPT-2's way of writing bytes as characters that can be seen: 256 and more stand, in order, for those that cannot. */
const BYTES: ReadonlyMap<number, number> = new Map(
  Array.from({ length: 256 }, (_, byte) => byte)
    .sort((a, b) => Number(isVisible(b)) - Number(isVisible(a)) || a - b)
    .map((byte, n) => [isVisible(byte) ? byte : 256 + n - VISIBLE, byte]),
);
function isVisible(byte: number): boolean {
  return (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
}

function byteLevelBytes(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => BYTES.get(character.codePointAt(0)!) ?? 63);
}

/** As SentencePiece writes them: a bar for a space, and bytes that are no piece by their number. */
function pieceBytes(name: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(name)?.[1];
  return byte === undefined ? Buffer.from(name.replaceAll('▁', ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
}
