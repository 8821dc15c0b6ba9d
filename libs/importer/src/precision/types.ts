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

/** What was found out about the matrices of a model by running it, by their names as `linear` and `head` get them. */
export interface Tuning {
  /** How much each input of a matrix counts when it is rounded, [columns], all above 0; undefined: all alike. Of blocks. */
  readonly importance?: (name: string) => Float32Array | undefined;
  /**
   * How an error at one input is made up for by those that follow (GPTQ, arxiv.org/abs/2210.17323): the upper triangular U
   * [columns, columns] of H⁻¹ = UᵀU, H being the mean of x·xᵀ over inputs x; undefined: it is not. Of blocks.
   */
  readonly feedback?: (name: string) => Float64Array | undefined;
  /** How the inputs of a product are made ready for 8 bits; undefined: as they are. Of encoders' int8. */
  readonly inputs?: (name: string) => RowInputs | 'float32' | undefined;
  /** Weights that were rounded stay in memory by their names, for whoever builds many graphs of the same weights. Of blocks. */
  readonly remember?: boolean;
}

/** From inputs x to what is rounded, (x − offsets) · factors: rounded weights and the bias take it back. */
export interface RowInputs {
  /** [columns], all above 0; left out: 1. */
  readonly factors?: Float32Array | undefined;
  /** [columns]; left out: 0. */
  readonly offsets?: Float32Array | undefined;
  /** What inputs are on average, [columns]: the bias takes back what rounded weights make of that. */
  readonly means?: Float32Array | undefined;
  /** Rounds what inputs are then multiplied by, [rows, columns]; left out: each weight to the nearest level. */
  readonly round?: ((weights: Float32Array, rows: number, columns: number) => RoundedRows) | undefined;
  /** The level that stands for 0, of 1 to 128; left out: 128. Less of them are below it than above it. */
  readonly zeroPoint?: number | undefined;
}

export interface RoundedRows {
  /** Of −127 to 127: [columns, rows], as ONNX multiplies. */
  readonly data: Int8Array;
  /** What a level of each row is worth. */
  readonly scales: Float32Array;
}
