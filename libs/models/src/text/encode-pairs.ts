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

/** Rows in the order of the documents; `asked`: what a language model is asked of each. Throws as `encodeTexts` does. */
export async function encodePairs(
  tokenizer: TextTokenizer,
  queries: readonly Query[],
  limits: TextLimits,
  asked: string | null = null,
): Promise<TextItem[]> {
  if (asked !== null) return encodeAsked(tokenizer, queries, limits, asked);
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
  checkPaired(queries, 0);
  const rows = queries.flatMap(({ text, documents }) =>
    documents.map((document) => ({ path: document.path, input: { text, text_pair: document.text } })),
  );
  return encodeTexts(tokenizer, rows, limits);
}

/** `beside`: UTF-16 units that each pair comes with. */
function checkPaired(queries: readonly Query[], beside: number): void {
  const faults = queries.flatMap(({ path, text, documents }): Fault[] => {
    const length = documents.reduce((sum, document) => sum + text.length + document.text.length + beside, 0);
    return length > MAX_PAIRED_LENGTH ? [{ path, message: 'is too long for so many documents' }] : [];
  });
  throwFaults(faults);
}

/**
 * A text in which words run into each other is tokenised whole, since tokens may reach over from one part to the next; but what
 * comes behind the document, with which the question ends, is kept where the document is cut.
 */
async function encodeAsked(
  tokenizer: TextTokenizer,
  queries: readonly Query[],
  limits: TextLimits,
  template: string,
): Promise<TextItem[]> {
  checkPaired(queries, template.length);
  const { maxTokens, truncate } = limits;
  const [before, rest] = splitAt(template, '{query}');
  const [between, after] = splitAt(rest, '{document}');
  const end = await tokenizer.plainIds(after);
  const rows = queries.flatMap(({ text, documents }) =>
    documents.map((document) => ({ path: document.path, text: before + text + between + document.text })),
  );
  return encodeGroups(rows, limits, async ({ path, text }) => {
    const ids = await idsOf(tokenizer, path, text, { ...limits, side: 'right' });
    const kept = truncate ? ids.subarray(0, Math.max(0, maxTokens - end.length)) : ids;
    return { kind: 'text', ids: Uint32Array.of(...kept, ...end) };
  });
}

function splitAt(text: string, mark: string): readonly [before: string, after: string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
