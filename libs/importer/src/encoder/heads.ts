/** What an architecture's class puts on top of the hidden states, and the graph's output. */
import type { Model, Value } from '@shoal/onnx';
import type { EncoderGraph } from './graph.js';

/**
 * `texts` classifies whole texts (one class: a relevance score), `tokens` each token; `none` leaves the hidden states, for
 * embeddings.
 */
export type Head = 'none' | 'texts' | 'tokens';

export function finish(e: EncoderGraph, head: Head, x: Value, last: number): Model {
  if (head === 'none') e.g.output('last_hidden_state', x, 'float32', ['batch', 'sequence', last]);
  else e.g.output('logits', x, 'float32', head === 'texts' ? ['batch', last] : ['batch', 'sequence', last]);
  return e.g.build();
}
