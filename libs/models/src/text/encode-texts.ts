/** From checked text inputs to wire items: ids, segment ids, and one error that names inputs that are too long. */
import { type Fault, ShoalError, type TextGenerationInput, type TextInput, type TextItem } from '@shoal/contracts';
import { isFull, throwFaults } from '../faults.js';
import { prefixOf, suffixOf } from './prefix.js';
import type { Encoding, TextTokenizer } from './tokenizer.js';

/** One row to tokenise and where it stands in the request (`input[3]`). */
export interface TextRow {
  readonly path: string;
  readonly input: TextInput;
}

export interface TextLimits {
  readonly maxTokens: number;
  /** Ids from here on are not in the embedding table. */
  readonly vocabSize: number;
  readonly truncate: boolean;
  /** Where a text is cut; at its end where left out. */
  readonly side?: 'left' | 'right';
}

type GroupLimits = Pick<TextLimits, 'maxTokens' | 'truncate'> & { readonly takes?: string };

/** What to make of an encoding beside its ids (token classification keeps offsets). */
type Extra = (encoding: Encoding, text: string) => Partial<TextItem>;

/** Rows that are tokenised before the next ones: the texts of other requests come between, and no more is held at once. */
const GROUP = 128;

/**
 * Tokenises rows in their order. Throws `input_too_long` naming rows that are longer than `maxTokens` (unless `truncate`),
 * `invalid_request` for token ids outside the vocabulary. After the first faults the rest is not looked at.
 */
export async function encodeTexts(
  tokenizer: TextTokenizer,
  rows: readonly TextRow[],
  limits: TextLimits,
  extra?: Extra,
): Promise<TextItem[]> {
  checkIds(rows, limits.vocabSize);
  return encodeGroups(rows, limits, (row) => encodeRow(tokenizer, row, limits, extra));
}

/** As `encodeTexts`, with another way to tokenise one row. `takes`: why no more than `maxTokens`, where the model is not why. */
export async function encodeGroups<Row extends { readonly path: string }, Item extends { readonly ids: Uint32Array }>(
  rows: readonly Row[],
  { maxTokens, truncate, takes = `the model takes ${maxTokens}` }: GroupLimits,
  encode: (row: Row) => Promise<Item>,
): Promise<Item[]> {
  const items: Item[] = [];
  const tooLong: Fault[] = [];
  for (let from = 0; from < rows.length && !isFull(tooLong); from += GROUP) {
    const group = rows.slice(from, from + GROUP);
    for (const [i, item] of (await Promise.all(group.map(encode))).entries()) {
      items.push(item);
      const { length } = item.ids;
      if (length <= maxTokens || isFull(tooLong)) continue;
      tooLong.push({ path: group[i]!.path, message: `has ${length} tokens, ${takes}` });
    }
  }
  throwFaults(tooLong, 'input_too_long', truncate ? '' : '. Shorten it or set parameters.truncate');
  return items;
}

/** What was thrown by the tokenizer (some have no token for what they do not know), as the caller's fault. */
export function untokenisable(path: string, cause: unknown): ShoalError {
  const tooLong = cause instanceof ShoalError && cause.code === 'input_too_long';
  const message = tooLong ? cause.message : 'cannot be tokenised for this model';
  return new ShoalError(tooLong ? cause.code : 'invalid_request', `${path}: ${message}`, {
    faults: [{ path, message }],
    cause,
  });
}

async function encodeRow(
  tokenizer: TextTokenizer,
  { path, input }: TextRow,
  limits: TextLimits,
  extra: Extra | undefined,
): Promise<TextItem> {
  const { truncate, maxTokens, side } = limits;
  if (typeof input === 'object' && 'tokens' in input) {
    const cut = (tokens: readonly number[]) =>
      side === 'left' ? tokens.slice(-maxTokens) : tokens.slice(0, maxTokens);
    return { kind: 'text', ids: Uint32Array.from(truncate ? cut(input.tokens) : input.tokens) };
  }
  const { text, text_pair: pair } = typeof input === 'string' ? { text: input, text_pair: undefined } : input;
  const encoding = await encodeText(tokenizer, text, pair, limits).catch((error: unknown) => {
    throw untokenisable(path, error);
  });
  const ids = Uint32Array.from(encoding.getIds());
  if (extra !== undefined) return { kind: 'text', ids, ...extra(encoding, text) };
  // Only pairs have a second segment; asking every encoding would copy one more array per text.
  return pair === undefined ? { kind: 'text', ids } : { kind: 'text', ids, ...typeIds(encoding) };
}

async function encodeText(
  tokenizer: TextTokenizer,
  text: string,
  pair: string | undefined,
  { truncate, maxTokens, side }: TextLimits,
): Promise<Encoding> {
  const shorten = side === 'left' ? suffixOf : prefixOf;
  const enough = (whole: string) =>
    shorten(whole, maxTokens, async (part) => (await tokenizer.encode(part, false)).getLength());
  const first = await enough(text);
  return tokenizer.encode(pair === undefined ? first : [first, await enough(pair)], truncate);
}

function typeIds(encoding: Encoding): Pick<TextItem, 'typeIds'> {
  const ids = Uint8Array.from(encoding.getTypeIds());
  return ids.some((id) => id !== 0) ? { typeIds: ids } : {};
}

/** Throws `invalid_request` for token ids outside the vocabulary. */
export function checkIds(
  rows: readonly { readonly path: string; readonly input: TextInput | TextGenerationInput }[],
  vocabSize: number,
): void {
  const faults: Fault[] = [];
  for (const { path, input } of rows) {
    if (typeof input !== 'object' || !('tokens' in input)) continue;
    const index = input.tokens.findIndex((id) => id >= vocabSize);
    if (index < 0) continue;
    faults.push({ path: `${path}.tokens[${index}]`, message: `token ids of this model are below ${vocabSize}` });
    if (isFull(faults)) break;
  }
  throwFaults(faults);
}
