/** Single tokens as OpenAI's log probabilities show them: a text, and its bytes, which may be a part of a character. */
import type tokenizers from 'tokenizers';

export interface TokenPiece {
  readonly token: string;
  readonly bytes: number[];
}

/** `json` is the text of tokenizer.json. The function is undefined for ids that are no tokens. */
export function tokenPieces(tokenizer: tokenizers.Tokenizer, json: string): (id: number) => TokenPiece | undefined {
  const byteLevel = /"type":\s*"ByteLevel"/.test(JSON.stringify((JSON.parse(json) as { decoder?: unknown }).decoder));
  const bytes = new Map(byteLevel ? byteCharacters() : []);
  return (id) => {
    const token = tokenizer.idToToken(id);
    return token === undefined || token === null ? undefined : pieceOf(token, bytes);
  };
}

function pieceOf(token: string, byteOf: ReadonlyMap<string, number>): TokenPiece {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
  const mapped = [...token].map((character) => byteOf.get(character));
  const bytes =
    byte !== undefined
      ? [Number.parseInt(byte, 16)]
      : mapped.every((value) => value !== undefined)
        ? mapped
        : [...new TextEncoder().encode(token.replaceAll('▁', ' '))];
  return { token: new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes)), bytes };
}

/** GPT-2's way to write bytes as characters: those that can be seen as they are, the others from U+0100 on. */
function byteCharacters(): [character: string, byte: number][] {
  let next = 256;
  const seen = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(seen(byte) ? byte : next++), byte]);
}
