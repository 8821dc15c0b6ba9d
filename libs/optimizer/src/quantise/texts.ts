/**
 * The user's texts through a graph, each by itself: there is no padding then that could be counted, and no neighbour. Graphs of
 * one model in several precisions go over the same texts in the same order.
 */
import type { Session, Tensors } from '@shoal/onnxruntime';

export interface Texts {
  /** Texts that are run. */
  readonly count: number;
  readonly tokens: number;
  /**
   * Runs all of them. `use` gets the outputs that are `wanted` of each pass, in memory that the next may overwrite. `width` is how
   * many numbers they have for a token, together: passes are as long as memory permits.
   *
   * @throws ShoalError `inference_failed`; the signal's reason
   */
  observe(session: Session, wanted: readonly string[], width: number, use: (outputs: Tensors) => void): Promise<void>;
  /**
   * What the model answers, in an order that is always the same: of a decoder logits, [tokens, vocabulary]; of an encoder the vector
   * that it is served for, else its scores.
   */
  answers(session: Session, use: (answer: Float32Array) => void): Promise<void>;
  /** Numbers in a token's logits; undefined where answers are compared as they are. */
  readonly vocabulary: number | undefined;
}

export interface TextOptions {
  /** About as many tokens are run, of texts from all over the examples. */
  readonly tokens: number;
  readonly signal: AbortSignal;
}

/** Of more examples the tokens are not counted. */
const MOST_EXAMPLES = 4000;

/** Examples to choose from, from all over the list. */
export function someOf<T>(items: readonly T[], most = MOST_EXAMPLES): readonly T[] {
  const step = Math.max(1, Math.ceil(items.length / most));
  return items.filter((_, n) => n % step === 0);
}

/** As many from all over the list as have about `tokens` together, one at least. */
export function withTokens<T>(items: readonly T[], lengthOf: (item: T) => number, tokens: number): readonly T[] {
  const all = items.reduce((sum, item) => sum + lengthOf(item), 0);
  return someOf(items, Math.max(1, Math.round((items.length * tokens) / Math.max(1, all))));
}
