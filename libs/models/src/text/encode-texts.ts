/** From checked text inputs to wire items: ids, segment ids, and one error that names every input that is too long. */
import { type Fault, ShoalError, type TextInput, type TextItem } from '@shoal/contracts';
import { throwFaults } from '../faults.js';
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
}

/** What to make of an encoding beside its ids (token classification keeps offsets). */
type Extra = (encoding: Encoding, text: string) => Partial<TextItem>;

/**
 * Tokenises rows in their order. Throws `input_too_long` naming every row that is longer than `maxTokens` (unless
 * `truncate`), `invalid_request` for token ids outside the vocabulary.
 */
export async function encodeTexts(
  tokenizer: TextTokenizer,
  rows: readonly TextRow[],
  limits: TextLimits,
  extra?: Extra,
): Promise<TextItem[]> {
  checkIds(rows, limits.vocabSize);
  const items = await Promise.all(rows.map((row) => encodeRow(tokenizer, row, limits, extra)));
  const tooLong = items.flatMap(({ ids }, i): Fault[] => {
    if (ids.length <= limits.maxTokens) return [];
    return [{ path: rows[i]!.path, message: `has ${ids.length} tokens, the model takes ${limits.maxTokens}` }];
  });
  throwFaults(tooLong, 'input_too_long', '. Shorten it or set parameters.truncate');
  return items;
}

async function encodeRow(
  tokenizer: TextTokenizer,
  { path, input }: TextRow,
  { truncate, maxTokens }: TextLimits,
  extra: Extra | undefined,
): Promise<TextItem> {
  if (typeof input === 'object' && 'tokens' in input) {
    return { kind: 'text', ids: Uint32Array.from(truncate ? input.tokens.slice(0, maxTokens) : input.tokens) };
  }
  const text = typeof input === 'string' ? input : input.text;
  const pair = typeof input === 'string' ? undefined : input.text_pair;
  const encoding = await tokenizer
    .encode(pair === undefined ? text : [text, pair], truncate)
    .catch((cause: unknown) => {
      // Some tokenizers have no token for what they do not know.
      const message = 'cannot be tokenised for this model';
      throw new ShoalError('invalid_request', `${path}: ${message}`, { faults: [{ path, message }], cause });
    });
  const ids = Uint32Array.from(encoding.getIds());
  if (extra !== undefined) return { kind: 'text', ids, ...extra(encoding, text) };
  // Only pairs have a second segment; asking every encoding would copy one more array per text.
  return pair === undefined ? { kind: 'text', ids } : { kind: 'text', ids, ...typeIds(encoding) };
}

function typeIds(encoding: Encoding): Pick<TextItem, 'typeIds'> {
  const ids = Uint8Array.from(encoding.getTypeIds());
  return ids.some((id) => id !== 0) ? { typeIds: ids } : {};
}

function checkIds(rows: readonly TextRow[], vocabSize: number): void {
  const faults = rows.flatMap(({ path, input }): Fault[] => {
    if (typeof input !== 'object' || !('tokens' in input)) return [];
    const index = input.tokens.findIndex((id) => id >= vocabSize);
    if (index < 0) return [];
    return [{ path: `${path}.tokens[${index}]`, message: `token ids of this model are below ${vocabSize}` }];
  });
  throwFaults(faults);
}
