/**
 * Text that grows token by token, whatever the tokenizer's decoder does between tokens. The sum of what is shown is the text
 * of all tokens. Each token costs the decoding of a few, however long the text is; the streams of a step share one call.
 */
import type tokenizers from 'tokenizers';

/** What a decoder puts where the bytes of a character are not complete. */
const INCOMPLETE = '\uFFFD';
/** Tokens that are decoded again for each new one: more than a character has bytes. What is before has no effect on what follows. */
const WINDOW = 8;

/** What streams need of a tokenizer. */
export interface StreamDecoder {
  /** Texts of so many lists of tokens. */
  decode(lists: number[][]): Promise<string[]>;
  /** Whether the token adds nothing to a text. */
  isSkipped(id: number): boolean;
  /** Whether it stands for a byte (`<0xE2>`): how a run of them reads is settled when another token follows. */
  isByte(id: number): boolean;
}

/** `json` is the text of tokenizer.json, which says more than the tokenizer does. */
export function streamDecoder(
  tokenizer: tokenizers.Tokenizer,
  json: string,
  skipSpecialTokens: boolean,
): StreamDecoder {
  const { added_tokens: added = [], decoder } = JSON.parse(json) as TokenizerJson;
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const byteFallback = JSON.stringify(decoder ?? null).includes('"ByteFallback"');
  return {
    decode: (lists) => tokenizer.decodeBatch(lists, false),
    isSkipped: (id) => skipSpecialTokens && special.has(id),
    isByte: (id) => byteFallback && /^<0x[0-9A-F]{2}>$/.test(tokenizer.idToToken(id) ?? ''),
  };
}

interface TokenizerJson {
  readonly added_tokens?: readonly { readonly id: number; readonly special: boolean }[];
  readonly decoder?: unknown;
}

export class TextStream {
  readonly #decoder: StreamDecoder;
  /** The latest tokens that were decoded. All of their text was shown, but for a character that is not complete. */
  #window: number[] = [];
  #held = 0;
  /** Bytes whose run has not ended. */
  #run: number[] = [];

  constructor(decoder: StreamDecoder) {
    this.#decoder = decoder;
  }

  /** What is left when no more tokens come. */
  async end(): Promise<string> {
    const before = this.#window;
    const [shown, all] = await this.#decoder.decode([before, [...before, ...this.#run]]);
    const text = all!.slice(shown!.length - this.#held);
    [this.#window, this.#run, this.#held] = [[], [], 0];
    return text;
  }

  /** What is to be decoded to know what `id` adds; none where it adds nothing yet. */
  lists(id: number): number[][] {
    if (this.#decoder.isSkipped(id)) return [];
    this.#run.push(id);
    return this.#decoder.isByte(id) ? [] : [this.#window, [...this.#window, ...this.#run]];
  }

  /** What is shown, given the texts of `lists`. */
  settle([shown, all]: readonly string[]): string {
    const added = all!.slice(shown!.length - this.#held);
    this.#held = added.endsWith(INCOMPLETE) ? 1 : 0;
    this.#window = [...this.#window, ...this.#run].slice(-WINDOW);
    this.#run = [];
    return added.slice(0, added.length - this.#held);
  }
}

/**
 * The text that each of `tokens` adds to its stream, '' as long as a character is incomplete: all are decoded in one call. A
 * stream is there once, and in one call at a time.
 */
export async function addTokens(
  decoder: StreamDecoder,
  tokens: readonly { readonly stream: TextStream; readonly id: number }[],
): Promise<string[]> {
  const lists = tokens.map(({ stream, id }) => stream.lists(id));
  const decoded = lists.some(({ length }) => length > 0) ? await decoder.decode(lists.flat()) : [];
  let at = 0;
  return tokens.map(({ stream }, n) => {
    const { length } = lists[n]!;
    at += length;
    return length === 0 ? '' : stream.settle(decoded.slice(at - length, at));
  });
}
