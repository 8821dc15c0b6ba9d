/** How weights are stored and multiplied: the part of a graph that `--dtype` decides. Builders of architectures ask for it. */
import type { GraphBuilder, Model, Value } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';

export interface Precision {
  /** As in `--dtype`, and the name of the variant. */
  readonly name: string;

  /**
   * x [..., in] · weightᵀ + bias → [..., out]. `weight` is [out, in], as PyTorch stores it; `name` is that of the weight
   * in the checkpoint and becomes that of the constants. Layers too small to gain from fewer bits, or whose error nothing
   * after them evens out (the classifier of an encoder), are built with `float32.linear` whatever the dtype.
   */
  linear(g: GraphBuilder, x: Value, name: string, weight: Matrix, bias?: Float32Array): Value;

  /** Rows of `table` [count, width] by `ids` [...] → [..., width]. */
  embedding(g: GraphBuilder, ids: Value, name: string, table: Matrix): Value;

  /**
   * x [n, in] · weightᵀ → [n, out] float32, for the logits of a language model. Where `weight` is the Matrix that
   * `embedding` got (tied), its data is stored once.
   */
  head(g: GraphBuilder, x: Value, name: string, weight: Matrix): Value;

  /** Whether `linear` multiplies by the blocks that this matrix came in; left out: never. */
  keeps?(weight: Matrix): boolean;

  /** The last step: from the model that was built, in 32-bit floats but for its weights, to the one that is saved. */
  finish?(model: Model): Model;
}
