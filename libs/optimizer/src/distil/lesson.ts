/** What a student of an embedding model learns from: texts by their tokens, and the teacher's vectors of them. */
import type { TextItem } from '@shoal/contracts';
import { type TokenRows, tokenRows } from '../linear/token-rows.js';
import type { Answer } from '../teacher/ask-pages.js';
import type { Vectors } from './static-prior.js';
import { LEAST } from './table-graph.js';
import type { Teacher } from './teacher.js';
import { vectorOf } from './token-means.js';

export interface Lesson {
  readonly items: readonly TextItem[];
  readonly answers: Vectors;
}

/** @throws ShoalError as the teacher does */
export async function takeLesson(
  teacher: Teacher,
  texts: readonly string[],
  onProgress: (share: number) => void = () => {},
): Promise<Lesson> {
  const items = new Array<TextItem>(texts.length);
  let values = new Float32Array();
  let dimensions = 0;
  const learn = ({ place, item, output }: Answer) => {
    const vector = vectorOf(output).values;
    if (dimensions === 0) {
      dimensions = vector.length;
      values = new Float32Array(texts.length * dimensions);
    }
    items[place] = item;
    values.set(vector, place * dimensions);
  };
  await teacher.ask(texts, learn, { onProgress });
  return { items, answers: { values, dimensions } };
}

/** Tokens of texts, prompts that are not pooled aside; each row is divided by what its tokens count. */
export function rowsOf(items: readonly TextItem[], counts: Float64Array): TokenRows {
  const rows = items.map(({ ids, promptTokens = 0 }) => {
    const features = ids.subarray(promptTokens);
    const sum = features.reduce((all, token) => all + counts[token]!, 0);
    return { features, scale: 1 / Math.max(LEAST, sum) };
  });
  return tokenRows(rows, counts.length);
}
