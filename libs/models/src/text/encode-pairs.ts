/** Queries with their documents → one wire item per document; a query is tokenised once. */
import type { Fault, TextItem } from '@shoal/contracts';
import { throwFaults } from '../faults.js';
import { encodeGroups, encodeTexts, type TextLimits, untokenisable } from './encode-texts.js';
import { prefixOf, suffixOf } from './prefix.js';
import type { TextTokenizer } from './tokenizer.js';

/** One query, where it stands in the request (`input[3]`), and its documents with theirs. */
export interface Query {
  readonly path: string;
  readonly text: string;
  readonly documents: readonly { readonly path: string; readonly text: string }[];
}

/** Most UTF-16 units of all pairs of a tokenizer that has to see each pair whole. */
const MAX_PAIRED_LENGTH = 4 * 1024 * 1024;

/** Rows in the order of the documents. Throws as `encodeTexts` does. */
export async function encodePairs(
  tokenizer: TextTokenizer,
  queries: readonly Query[],
  limits: TextLimits,
): Promise<TextItem[]> {
  const template = await tokenizer.pairTemplate();
  if (template === null) return encodeWhole(tokenizer, queries, limits);
  const { maxTokens, truncate, side = 'right' } = limits;
  const rows: { path: string; text: string; query: Uint32Array }[] = [];
  for (const { path, text, documents } of queries) {
    const query = await idsOf(tokenizer, `${path}.query`, text, limits);
    for (const document of documents) rows.push({ ...document, query });
  }
  return encodeGroups(rows, limits, async ({ path, text, query }) => {
    const document = await idsOf(tokenizer, path, text, limits);
    return template.join(query, document, truncate ? maxTokens : null, side);
  });
}

async function idsOf(
  tokenizer: TextTokenizer,
  path: string,
  text: string,
  { maxTokens, side }: TextLimits,
): Promise<Uint32Array> {
  try {
    const count = async (part: string) => (await tokenizer.plainIds(part)).length;
    const shorten = side === 'left' ? suffixOf : prefixOf;
    return await tokenizer.plainIds(await shorten(text, maxTokens, count));
  } catch (error) {
    throw untokenisable(path, error);
  }
}

function encodeWhole(tokenizer: TextTokenizer, queries: readonly Query[], limits: TextLimits): Promise<TextItem[]> {
  const faults: Fault[] = [];
  const rows = queries.flatMap(({ path, text, documents }) => {
    const length = documents.reduce((sum, document) => sum + text.length + document.text.length, 0);
    if (length > MAX_PAIRED_LENGTH) faults.push({ path, message: 'is too long for so many documents' });
    return documents.map((document) => ({ path: document.path, input: { text, text_pair: document.text } }));
  });
  throwFaults(faults);
  return encodeTexts(tokenizer, rows, limits);
}
