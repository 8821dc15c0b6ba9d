/** What an architecture's class puts on top of the hidden states, and the graph's output. */
import type { Model, Value } from '@shoal/onnx';
import type { Weights } from '../weights.js';
import type { EncoderGraph } from './graph.js';

/**
 * `texts` classifies whole texts (one class: a relevance score), `tokens` each token; `none` leaves the hidden states, for
 * embeddings.
 */
export type Head = 'none' | 'texts' | 'tokens';

/** `x` is [tokens, last], or [batch, last] of a head for texts. */
export function finish(e: EncoderGraph, head: Head, x: Value, last: number): Model {
  if (head === 'texts') {
    e.g.output('logits', x, 'float32', ['batch', last]);
  } else {
    const [rows = ''] = e.rows(x, 1, last);
    e.g.output(head === 'none' ? 'last_hidden_state' : 'logits', rows, 'float32', ['batch', 'sequence', last]);
  }
  return e.g.build();
}

/** Where a classifier as BERT's is: over tokens a linear map `classifier`; over texts a pooler of the first token before it. */
export interface BertHead {
  /** What has the classifier. */
  readonly whole: Weights;
  /** What has the pooler. */
  readonly trunk: Weights;
  readonly pooler?: string;
  readonly width: number;
  readonly classes: number;
}

/** As `finish`; `x` is [tokens, width], or [batch, width] of a head for texts. */
export function finishBert(
  e: EncoderGraph,
  head: Head,
  x: Value,
  { whole, trunk, pooler = 'pooler.dense', width, classes }: BertHead,
): Model {
  if (head === 'none') return finish(e, head, x, width);
  const classifier = whole.linear('classifier', width, classes);
  const read = head === 'tokens' ? x : e.g.op('Tanh', [e.linear(x, trunk.linear(pooler, width, width))]);
  return finish(e, head, e.classify(read, classifier), classes);
}
