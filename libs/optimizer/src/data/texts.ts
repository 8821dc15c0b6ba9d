/** What a model is given of examples: their texts, without what is expected of them. */
import type { Task } from '@shoal/contracts';
import type { Example } from '../types.js';

/** All texts of an example; a query comes before its documents. */
export function textsIn(example: Example): readonly string[] {
  switch (example.kind) {
    case 'pair':
      return [example.query, example.document];
    case 'ranking':
      return [example.query, ...example.documents.map(({ text }) => text)];
    default:
      return [example.text];
  }
}

/** Inputs of a request. Rerankers read a query and a document together; of a text alone, itself. */
export function inputsIn(task: Task, example: Example): readonly unknown[] {
  if (task !== 'rerank') return textsIn(example);
  const [query = '', ...documents] = textsIn(example);
  return [{ query, documents: documents.length > 0 ? documents : [query] }];
}
