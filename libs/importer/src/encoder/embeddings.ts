/** What a token begins as: the vector of its word, of its place and of its type, added. */
import { lazyData, type Value } from '@shoal/onnx';
import type { Weights } from '../weights.js';
import type { EncoderGraph } from './graph.js';

export interface EmbeddingTables {
  readonly vocabulary: number;
  readonly width: number;
  /** Rows of the table of positions; 0 where there is none. */
  readonly positions: number;
  /** Rows of the table of token types; of one row every token gets that, and of none nothing is added. */
  readonly types: number;
}

/** [tokens, width], from the tables as BERT calls them. The graph has an input `token_type_ids` where there are several types. */
export function addEmbeddings(e: EncoderGraph, weights: Weights, tables: EmbeddingTables): Value {
  const { vocabulary, width, positions, types } = tables;
  const table = (name: string, rows: number) => {
    const { data, rows: count } = weights.matrix(`${name}.weight`, rows, width);
    return { name: weights.name(`${name}.weight`), count, data };
  };
  const words = weights.matrix('word_embeddings.weight', vocabulary, width);
  const parts = [e.embedding(e.perToken(e.ids), weights.name('word_embeddings.weight'), words)];
  if (types > 1) {
    const ids = e.g.input('token_type_ids', 'int64', ['batch', 'sequence']);
    const { name, count, data } = table('token_type_embeddings', types);
    parts.push(e.lookUp(e.perToken(ids), name, count, width, data));
  } else if (types === 1) {
    const { name, data } = table('token_type_embeddings', types);
    parts.push(
      e.g.constant(
        name,
        'float32',
        [1, width],
        lazyData(4 * width, () => data.bytes()),
      ),
    );
  }
  if (positions > 0) {
    const { name, count, data } = table('position_embeddings', positions);
    parts.push(e.lookUp(e.positions, name, count, width, data));
  }
  return parts.reduce((sum, part) => e.g.op('Add', [sum, part]));
}
