/** What an architecture's class puts on top of the hidden states, and the graph's output. */
import type { Model, Value } from '@shoal/onnx';
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
