/** One layer of a decoder: attention over the cache, and the gated feed-forward network. Values are [batch, sequence, width]. */
import { dataOf, float, type GraphBuilder, type Value } from '@shoal/onnx';
import { stackRows } from '../matrix.js';
import type { Precision } from '../precision/types.js';
import type { Linear, Weights } from '../weights.js';
import type { DecoderConfig } from './config.js';
import { pairedLinear, pairedVector } from './pairs.js';
import type { RotaryTables } from './rotary.js';

/** Where architectures of the family differ. */
export interface Traits {
  readonly name: string;
  /** Biases of the projections to queries, keys and values. */
  readonly qkvBias: boolean;
  /** Of the projection after attention. */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** Whether each head of queries and keys is normalised before it is rotated. */
  readonly headNorms: boolean;
  /** How many tokens, itself included, a token sees in this layer; undefined where it sees all. */
  readonly windowOf: (layer: number) => number | undefined;
}

/** What all layers of a graph share. */
export interface Stack {
  readonly g: GraphBuilder;
  readonly weights: Weights;
  readonly precision: Precision;
  readonly config: DecoderConfig;
  readonly traits: Traits;
  /** How many tokens, itself included, a token sees in each layer. */
  readonly windows: readonly number[];
  /** The inputs `seqlens_k` and `total_sequence_length`. */
  readonly lengths: Value;
  readonly total: Value;
  readonly rotary: RotaryTables;
}

/**
 * GroupQueryAttention takes several new tokens in several rows that have different pasts only as a windowed cache
 * (sliding_window_cache) that is told of a first prompt (total_sequence_length = sequence): it then takes each row's past
 * from seqlens_k. The window is the longest context where the architecture has none. Its own rotary embedding would count
 * positions from 0 in that mode, so it stands before it.
 */
export function attention(stack: Stack, x: Value, layer: number): Value {
  const { g, weights, config, traits } = stack;
  const { hidden, heads, kvHeads, headDim } = config;
  const prefix = `model.layers.${layer}.self_attn`;
  const [wide, narrow] = [heads * headDim, kvHeads * headDim];
  const parts = ['q_proj', 'k_proj', 'v_proj'].map((name, n) => {
    const part = weights.linear(`${prefix}.${name}`, hidden, n === 0 ? wide : narrow, traits.qkvBias);
    return name === 'v_proj' ? part : pairedLinear(part, headDim);
  });
  const product = packed(stack, x, `${prefix}.qkv_proj.weight`, parts);
  const qkv = rotate(stack, traits.headNorms ? headNorms(stack, product, prefix) : product);
  const past = (kind: 'key' | 'value') =>
    g.input(`past_key_values.${layer}.${kind}`, 'float32', ['batch', kvHeads, 'capacity', headDim]);
  const inputs = [qkv, '', '', past('key'), past('value'), stack.lengths, stack.total];
  const [attended = '', key = '', value = ''] = g.contrib('GroupQueryAttention', inputs, 3, {
    num_heads: heads,
    kv_num_heads: kvHeads,
    sliding_window_cache: 1,
    local_window_size: stack.windows[layer]!,
  });
  g.output(`present.${layer}.key`, key, 'float32', ['batch', kvHeads, 'capacity', headDim]);
  g.output(`present.${layer}.value`, value, 'float32', ['batch', kvHeads, 'capacity', headDim]);
  return linear(stack, attended, weights.linear(`${prefix}.o_proj`, wide, hidden, traits.outputBias));
}

export function feedForward(stack: Stack, x: Value, layer: number): Value {
  const { g, weights, config, traits } = stack;
  const { hidden, inner } = config;
  const prefix = `model.layers.${layer}.mlp`;
  const parts = ['gate_proj', 'up_proj'].map((name) =>
    weights.linear(`${prefix}.${name}`, hidden, inner, traits.mlpBias),
  );
  const both = packed(stack, x, `${prefix}.gate_up_proj.weight`, parts);
  const [gate = '', up = ''] = g.ops('Split', [both, g.ints([inner, inner])], 2, { axis: -1 });
  const product = g.op('Mul', [activate(g, gate, config.activation), up]);
  return linear(stack, product, weights.linear(`${prefix}.down_proj`, inner, hidden, traits.mlpBias));
}

/** Divided by the root of the mean square along the last dimension. */
export function norm(stack: Stack, x: Value, name: string, width: number): Value {
  return normBy(stack, x, name, stack.weights.vector(name, width));
}

function normBy({ g, config }: Stack, x: Value, name: string, values: Float32Array): Value {
  return g.op('SimplifiedLayerNormalization', [x, gain(g, name, values)], {
    axis: -1,
    epsilon: float(config.epsilon),
    stash_type: 1,
  });
}

/** What the residual has become, and the norm of it, in one operator. */
export function addNorm(
  { g, weights, config: { hidden, epsilon } }: Stack,
  sum: Value,
  added: Value,
  name: string,
): { x: Value; sum: Value } {
  const inputs = [sum, added, gain(g, name, weights.vector(name, hidden))];
  const [x = '', , , next = ''] = g.contrib('SkipSimplifiedLayerNormalization', inputs, 4, { epsilon: float(epsilon) });
  return { x, sum: next };
}

function gain(g: GraphBuilder, name: string, values: Float32Array): Value {
  return g.constant(name, 'float32', [values.length], dataOf(values));
}

/** Several projections of the same input as one product, side by side; each by itself where some came in blocks of another form. */
function packed(stack: Stack, x: Value, name: string, parts: readonly Linear[]): Value {
  const { g, precision } = stack;
  const biases = parts.flatMap(({ bias }) => (bias === undefined ? [] : [...bias]));
  const weight = stackRows(parts.map((part) => part.weight));
  if (weight.kept === undefined && parts.some((part) => precision.keeps?.(part.weight))) {
    const products = parts.map((part) => linear(stack, x, part));
    return g.op('Concat', products, { axis: -1 });
  }
  return precision.linear(g, x, name, weight, biases.length === 0 ? undefined : Float32Array.from(biases));
}

function linear({ g, precision }: Stack, x: Value, { name, weight, bias }: Linear): Value {
  return precision.linear(g, x, name, weight, bias);
}

/** Of queries and keys, each by weights of its own; values stay. */
function headNorms(stack: Stack, qkv: Value, prefix: string): Value {
  const { g, weights, config } = stack;
  const { heads, kvHeads, headDim } = config;
  const byHead = g.op('Reshape', [qkv, g.ints([0, 0, heads + 2 * kvHeads, headDim])]);
  const [q = '', k = '', v = ''] = g.ops('Split', [byHead, g.ints([heads, kvHeads, kvHeads])], 3, { axis: 2 });
  const normed = (part: Value, name: string) =>
    normBy(stack, part, name, pairedVector(weights.vector(name, headDim), headDim));
  const parts = [normed(q, `${prefix}.q_norm.weight`), normed(k, `${prefix}.k_norm.weight`), v];
  return g.op('Reshape', [g.op('Concat', parts, { axis: 2 }), g.ints([0, 0, (heads + 2 * kvHeads) * headDim])]);
}

/** All heads of queries and keys at once, see rotary.ts; values stand behind them and stay. */
function rotate({ g, config, rotary: { cos, sin, rows } }: Stack, qkv: Value): Value {
  return g.contrib('RotaryEmbedding', [qkv, rows, cos, sin], 1, {
    num_heads: 1,
    rotary_embedding_dim: (config.heads + config.kvHeads) * config.headDim,
    interleaved: 1,
  })[0]!;
}

function activate(g: GraphBuilder, x: Value, name: DecoderConfig['activation']): Value {
  switch (name) {
    case 'silu':
    case 'swish':
      // x * sigmoid(alpha * x) in one pass over the memory.
      return g.contrib('QuickGelu', [x], 1, { alpha: float(1) })[0]!;
    case 'gelu':
      return g.op('Gelu', [x]);
    case 'relu':
      return g.op('Relu', [x]);
    default:
      return g.op('Gelu', [x], { approximate: 'tanh' });
  }
}
