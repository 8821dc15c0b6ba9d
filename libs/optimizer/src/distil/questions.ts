/** What of a user's examples the teacher is asked: texts without their labels, each once. */
import { ShoalError } from '@shoal/contracts';
import { textsIn } from '../data/texts.js';
import type { Question } from '../teacher/types.js';
import type { Examples } from '../types.js';

/** Fewer say nothing of how a model answers. */
export const LEAST_TEXTS = 50;

/**
 * The texts of the examples, `most` of them.
 *
 * @throws ShoalError `invalid_request` where there are fewer than `least`
 */
export function textsOf({ items }: Examples, most: number, what: string, least = LEAST_TEXTS): readonly string[] {
  const texts = new Set<string>();
  for (const item of items) {
    for (const text of textsIn(item)) if (texts.size < most && text !== '') texts.add(text);
  }
  refuseFew(texts.size, least, what);
  return [...texts];
}

/**
 * Queries with documents, `most` of them: those that belong together, and each query with the next pair's document, so that there
 * is something to tell apart.
 *
 * @throws ShoalError `invalid_request` where there are fewer than `least`, or the examples have no queries
 */
export function rowsToRank({ items }: Examples, most: number, what: string, least = LEAST_TEXTS): readonly Question[] {
  const rows: Question[] = [];
  for (const [n, item] of items.entries()) {
    if (rows.length >= most) break;
    if (item.kind === 'ranking') {
      for (const { text } of item.documents) rows.push({ query: item.query, documents: [text] });
    } else if (item.kind === 'pair') {
      const next = items[(n + 1) % items.length];
      rows.push({ query: item.query, documents: [item.document] });
      if (next?.kind === 'pair') rows.push({ query: item.query, documents: [next.document] });
    } else {
      throw new ShoalError(
        'invalid_request',
        `${what}: a model that ranks needs queries with documents, not texts alone`,
      );
    }
  }
  refuseFew(rows.length, least, what);
  return rows.slice(0, most);
}

function refuseFew(count: number, least: number, what: string): void {
  if (count >= least) return;
  throw new ShoalError(
    'invalid_request',
    `${what}: ${count} different texts are too few to learn from: give at least ${least}`,
  );
}
