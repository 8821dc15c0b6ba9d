/**
 * The parts that encoders are made of, on top of a GraphBuilder. Hidden states are [tokens, width]: all tokens of the batch one
 * after the other, without padding, so that nothing is computed for it. Only attention sees rows and columns.
 */
import { dataOf, float, GraphBuilder, type TensorData, type Value } from '@shoal/onnx';
import type { Activation } from '../config-fields.js';
import { stackRows } from '../matrix.js';
import { float32 } from '../precision/float32.js';
import type { Precision } from '../precision/types.js';
import type { Linear, Norm } from '../weights.js';

export interface AttentionInputs {
  /** [batch, queries, width] */
  readonly query: Value;
  /** [batch, sequence, width] */
  readonly key: Value;
  readonly value: Value;
  readonly heads: number;
  readonly width: number;
  /** Added to the scores instead of `padding`, which it includes: [batch, 1 or heads, queries, sequence]. */
  readonly bias?: Value | undefined;
  /** What scores are multiplied by; 1 / √(width of a head) where left out. */
  readonly scale?: number | undefined;
}

export class EncoderGraph {
  readonly g: GraphBuilder;
  /** [batch, sequence] */
  readonly ids: Value;
  /** Added to scores, so that padding gets no share: [batch, 1, 1, sequence]. */
  readonly padding: Value;
  readonly #precision: Precision;
  /** [batch, sequence], 1 where a token is. */
  readonly #mask: Value;
  /** Where in batch × sequence each token is: [tokens]. */
  readonly #places: Value;
  /** Which token is at each place: [batch, sequence]. For padding it is any. */
  readonly #tokens: Value;

  /** `repeats`: several layers have the same weights, which are asked for again by their names. */
  constructor(name: string, precision: Precision, { repeats = false } = {}) {
    const g = new GraphBuilder({ name, opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 }, repeats });
    this.g = g;
    this.#precision = precision;
    this.ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    this.#mask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
    const flat = g.op('Reshape', [this.#mask, g.ints([-1])]);
    this.#places = g.op('Reshape', [g.op('NonZero', [flat]), g.ints([-1])]);
    const before = g.op('Sub', [g.op('CumSum', [flat, g.scalar(0, 'int64')]), g.scalar(1, 'int64')]);
    this.#tokens = g.op('Reshape', [before, g.op('Shape', [this.#mask])]);
    const seen = g.op('Cast', [g.op('Unsqueeze', [this.#mask, g.ints([1, 2])])], { to: BOOL });
    this.padding = g.op('Where', [seen, g.scalar(0), g.scalar(HIDDEN)]);
  }

  /** A value per place, [batch, sequence], as one per token, [tokens]. */
  perToken(values: Value): Value {
    return this.g.op('Gather', [this.g.op('Reshape', [values, this.g.ints([-1])]), this.#places]);
  }

  /** 0, 1, 2, ... within each text, [tokens]. */
  get positions(): Value {
    return this.g.op('Mod', [this.#places, this.#length()]);
  }

  /** 0, 1, 2, ... for each column, [sequence]. */
  get columns(): Value {
    const { g } = this;
    return g.op('Range', [g.scalar(0, 'int64'), g.op('Squeeze', [this.#length()]), g.scalar(1, 'int64')]);
  }

  #length(): Value {
    return this.g.op('Shape', [this.ids], { start: 1, end: 2 });
  }

  linear(x: Value, { name, weight, bias }: Linear): Value {
    return this.#precision.linear(this.g, x, name, weight, bias);
  }

  /** Scores of classes: in 32-bit floats whatever the precision, since nothing after it evens out its errors. */
  classify(x: Value, { name, weight, bias }: Linear): Value {
    return float32.linear(this.g, x, name, weight, bias);
  }

  /** Projections of the same input as one product, side by side. */
  packed(x: Value, name: string, parts: readonly Linear[]): Value {
    const biases = parts.flatMap(({ bias }) => (bias === undefined ? [] : [bias]));
    const weight = stackRows(parts.map((part) => part.weight));
    return this.#precision.linear(this.g, x, name, weight, biases.length === 0 ? undefined : concat(biases));
  }

  /** Each of `count` things of `width` that lie side by side, laid out in rows: [batch, sequence, width]. */
  rows(x: Value, count: number, width: number): Value[] {
    const { g } = this;
    const each = count === 1 ? x : g.op('Reshape', [x, g.ints([-1, width])]);
    return Array.from({ length: count }, (_, n) => {
      const scaled = count === 1 ? this.#tokens : g.op('Mul', [this.#tokens, g.scalar(count, 'int64')]);
      return g.op('Gather', [each, n === 0 ? scaled : g.op('Add', [scaled, g.scalar(n, 'int64')])]);
    });
  }

  /** [batch, sequence, width] without its padding: [tokens, width]. */
  tokens(x: Value, width: number): Value {
    return this.g.op('Gather', [this.g.op('Reshape', [x, this.g.ints([-1, width])]), this.#places]);
  }

  /** [batch, width]: of the token that stands for the text. */
  first(x: Value): Value {
    const { g } = this;
    return g.op('Gather', [x, g.op('Gather', [this.#tokens, g.scalar(0, 'int64')], { axis: 1 })]);
  }

  /** [batch, width]: of each text's last token, or of its last that is not `skipped`, where it has one. */
  last(x: Value, width: number, skipped?: number): Value {
    const { g } = this;
    const [rows = ''] = this.rows(x, 1, width);
    const counted = skipped === undefined ? this.#mask : g.op('Mul', [this.#mask, this.#areNot(skipped)]);
    const places = g.op('Mul', [counted, g.op('Add', [this.columns, g.scalar(1, 'int64')])]);
    return g.op('GatherND', [rows, g.op('ArgMax', [places], { axis: 1, keepdims: 1 })], { batch_dims: 1 });
  }

  /** 1 for every token but `id`. */
  #areNot(id: number): Value {
    const { g } = this;
    return g.op('Cast', [g.op('Not', [g.op('Equal', [this.ids, g.scalar(id, 'int64')])])], { to: INT64 });
  }

  /** [batch, 1, sequence, sequence], to be added to scores: 0 where query and key are at most `reach` apart, and the key is no padding. */
  nearby(reach: number): Value {
    const { g, columns } = this;
    const distance = g.op('Sub', [
      g.op('Unsqueeze', [columns, g.ints([0])]),
      g.op('Unsqueeze', [columns, g.ints([1])]),
    ]);
    const far = g.op('Greater', [g.op('Abs', [distance]), g.scalar(reach, 'int64')]);
    return g.op('Where', [g.op('Unsqueeze', [far, g.ints([0, 1])]), g.scalar(HIDDEN), this.padding]);
  }

  /** Tokens of each text, [batch]. */
  get lengths(): Value {
    return this.g.op('ReduceSum', [this.#mask, this.g.ints([1])], { keepdims: 0 });
  }

  /** [batch, width] */
  mean(x: Value, width: number): Value {
    const { g } = this;
    const sum = g.op('ReduceSum', [this.zeroPadded(x, width), g.ints([1])], { keepdims: 0 });
    return g.op('Div', [sum, g.op('ReduceSum', [this.#kept(), g.ints([1])], { keepdims: 0 })]);
  }

  /** [batch, sequence, width]: zeros where padding is. */
  zeroPadded(x: Value, width: number): Value {
    return this.g.op('Mul', [this.rows(x, 1, width)[0]!, this.#kept()]);
  }

  /** [batch, sequence, 1]: 1 where a token is. */
  #kept(): Value {
    const { g } = this;
    return g.op('Cast', [g.op('Unsqueeze', [this.#mask, g.ints([2])])], { to: FLOAT32 });
  }

  /** Rows of a table by ids. */
  embedding(ids: Value, name: string, table: Parameters<Precision['embedding']>[3]): Value {
    return this.#precision.embedding(this.g, ids, name, table);
  }

  /** The same, of a table so small that it stays in 32-bit floats. */
  lookUp(ids: Value, name: string, rows: number, width: number, data: TensorData): Value {
    return this.g.op('Gather', [this.g.constant(name, 'float32', [rows, width], data), ids]);
  }

  norm(x: Value, norm: Norm, epsilon: number): Value {
    const vector = (name: string, values: Float32Array) =>
      this.g.constant(`${norm.name}.${name}`, 'float32', [values.length], dataOf(values));
    const bias = norm.bias === undefined ? [] : [vector('bias', norm.bias)];
    const inputs = [x, vector('weight', norm.gain), ...bias];
    return this.g.op('LayerNormalization', inputs, { axis: -1, epsilon: float(epsilon) });
  }

  /** Not ONNX Runtime's SkipLayerNormalization, which takes several times as long on its CPU (1.30). */
  addNorm(x: Value, skip: Value, norm: Norm, epsilon: number): Value {
    return this.norm(this.g.op('Add', [x, skip]), norm, epsilon);
  }

  activate(x: Value, name: Activation): Value {
    switch (name) {
      case 'gelu':
        return this.g.op('Gelu', [x]);
      case 'relu':
        return this.g.op('Relu', [x]);
      case 'silu':
      case 'swish':
        return this.g.op('Mul', [x, this.g.op('Sigmoid', [x])]);
      default:
        return this.g.op('Gelu', [x], { approximate: 'tanh' });
    }
  }

  /** [batch, sequence, width] as [batch, heads, sequence, width / heads]. */
  byHead(x: Value, heads: number, width: number): Value {
    const { g } = this;
    return g.op('Transpose', [g.op('Reshape', [x, g.ints([0, 0, heads, width / heads])])], { perm: [0, 2, 1, 3] });
  }

  /**
   * [batch, queries, width]: every token attends to every token that is no padding, and that `bias` does not hide from it.
   * Not ONNX Runtime's MultiHeadAttention, which takes longer than its parts on the CPU where there is padding (1.30). Scale,
   * transposition and product stand apart: for the CPU it makes a FusedMatMul of them, which WebGPU has no kernel for.
   */
  attention({ query, key, value, heads, width, bias = this.padding, scale }: AttentionInputs): Value {
    const { g } = this;
    const size = width / heads;
    const byHead = (x: Value) => this.byHead(x, heads, width);
    const scaled = g.op('Mul', [byHead(query), g.scalar(scale ?? 1 / Math.sqrt(size))]);
    const scores = g.op('MatMul', [scaled, g.op('Transpose', [byHead(key)], { perm: [0, 1, 3, 2] })]);
    const shares = g.op('Softmax', [g.op('Add', [scores, bias])], { axis: -1 });
    const mixed = g.op('Transpose', [g.op('MatMul', [shares, byHead(value)])], { perm: [0, 2, 1, 3] });
    return g.op('Reshape', [mixed, g.ints([0, 0, width])]);
  }
}

/** `TensorProto.DataType` */
export const FLOAT32 = 1;
export const INT32 = 6;
export const BOOL = 9;
export const INT64 = 7;

/** Added to the scores of what must not be seen; its exponential is 0 beside any score. */
export const HIDDEN = -1e9;

function concat(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
