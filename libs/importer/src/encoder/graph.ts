/** The parts that encoders are made of, on top of a GraphBuilder. Values are [batch, sequence, width]. */
import { dataOf, float, GraphBuilder, type TensorData, type Value } from '@shoal/onnx';
import { stackRows } from '../matrix.js';
import { float32 } from '../precision/float32.js';
import type { Precision } from '../precision/types.js';
import type { Activation } from './config.js';
import type { Linear, Norm } from './weights.js';

export interface AttentionInputs {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  readonly heads: number;
  /** Added to the scores before the softmax: [1 or batch, 1 or heads, queries, keys]. */
  readonly bias?: Value;
}

export class EncoderGraph {
  readonly g: GraphBuilder;
  readonly ids: Value;
  readonly #precision: Precision;
  /** [batch, sequence] int32, 1 where a token is. */
  readonly #mask: Value;
  #length: Value | undefined;

  constructor(name: string, precision: Precision) {
    const g = new GraphBuilder({ name, opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
    this.g = g;
    this.#precision = precision;
    this.ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    this.#mask = g.op('Cast', [g.input('attention_mask', 'int64', ['batch', 'sequence'])], { to: INT32 });
  }

  linear(x: Value, { name, weight, bias }: Linear): Value {
    return this.#precision.linear(this.g, x, name, weight, bias);
  }

  /** Scores of classes: in 32-bit floats whatever the precision, since nothing after it evens out its errors. */
  classify(x: Value, { name, weight, bias }: Linear): Value {
    return float32.linear(this.g, x, name, weight, bias);
  }

  /** Several projections of the same input as one product. */
  linears(x: Value, name: string, parts: readonly Linear[]): Value[] {
    const [first] = parts;
    if (first === undefined || parts.length === 1) return first === undefined ? [] : [this.linear(x, first)];
    const bias = first.bias === undefined ? undefined : concat(parts.map((part) => part.bias ?? new Float32Array()));
    const packed = this.#precision.linear(this.g, x, name, stackRows(parts.map(({ weight }) => weight)), bias);
    return this.split(
      packed,
      parts.map(({ weight }) => weight.rows),
    );
  }

  /** Along the last dimension. */
  split(x: Value, sizes: readonly number[]): Value[] {
    return this.g.ops('Split', [x, this.g.ints(sizes)], sizes.length, { axis: -1 });
  }

  /** Rows of a table by ids. */
  embedding(ids: Value, name: string, table: Parameters<Precision['embedding']>[3]): Value {
    return this.#precision.embedding(this.g, ids, name, table);
  }

  vector(name: string, values: Float32Array): Value {
    return this.g.constant(name, 'float32', [values.length], dataOf(values));
  }

  norm(x: Value, norm: Norm, epsilon: number): Value {
    const bias = norm.bias === undefined ? [] : [this.vector(`${norm.name}.bias`, norm.bias)];
    const inputs = [x, this.vector(`${norm.name}.weight`, norm.gain), ...bias];
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

  /** Every token attends to every token that is no padding, and that `bias` does not hide from it. */
  attention({ query, key, value, heads, bias = '' }: AttentionInputs): Value {
    return this.g.contrib('MultiHeadAttention', [query, key, value, '', this.#mask, bias], 1, {
      num_heads: heads,
      mask_filter_value: float(HIDDEN),
    })[0]!;
  }

  /** The length of the longest text, int64 [1]. */
  get length(): Value {
    this.#length ??= this.g.op('Shape', [this.ids], { start: 1, end: 2 });
    return this.#length;
  }

  /** 0, 1, 2, ... for each position, int64 [sequence]. */
  get positions(): Value {
    const end = this.g.op('Squeeze', [this.length]);
    return this.g.op('Range', [this.g.scalar(0, 'int64'), end, this.g.scalar(1, 'int64')]);
  }

  /** The first rows of a constant of at least as many rows as the longest text has tokens: one per position. */
  places(name: string, rows: number, columns: number, data: TensorData): Value {
    return this.g.op('Slice', [this.g.constant(name, 'float32', [rows, columns], data), this.g.ints([0]), this.length]);
  }

  /** [batch, 1, width]: of the token that stands for the text. */
  first(x: Value): Value {
    return this.g.op('Slice', [x, this.g.ints([0]), this.g.ints([1]), this.g.ints([1])]);
  }

  /** [batch, width]: over the tokens that are no padding. */
  mean(x: Value): Value {
    const kept = this.g.op('Cast', [this.g.op('Unsqueeze', [this.#mask, this.g.ints([2])])], { to: FLOAT32 });
    const sum = this.g.op('ReduceSum', [this.g.op('Mul', [x, kept]), this.g.ints([1])], { keepdims: 0 });
    return this.g.op('Div', [sum, this.g.op('ReduceSum', [kept, this.g.ints([1])], { keepdims: 0 })]);
  }

  /** [batch, width] of what `first` gave. */
  flat(x: Value): Value {
    return this.g.op('Squeeze', [x, this.g.ints([1])]);
  }
}

/** `TensorProto.DataType` */
export const INT32 = 6;
export const FLOAT32 = 1;
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
