/** One layer of a decoder: attention, and the gated feed-forward network. Values are [batch, sequence, width]. */
import { dataOf, float, type GraphBuilder, type Value } from '@shoal/onnx';
import { stackRows } from '../matrix.js';
import type { Precision } from '../precision/types.js';
import type { Linear, Weights } from '../weights.js';
import type { DecoderConfig } from './config.js';
import { type HeadOrder, pairedLinear, pairedVector } from './pairs.js';
import type { RotaryTables } from './rotary.js';
import type { Rotary } from './rotary-config.js';
import type { LayerNorms, Traits } from './traits.js';

/** What all layers of a graph share. */
export interface Stack {
  readonly g: GraphBuilder;
  /** Of the trunk: below them are `embed_tokens`, `layers` and `norm`. */
  readonly weights: Weights;
  readonly precision: Precision;
  readonly config: DecoderConfig;
  readonly traits: Traits;
  readonly tables: (rotary: Rotary) => RotaryTables;
  /**
   * Queries, keys and values of all heads side by side, each head `paddedHead` numbers wide, to what the queries gather:
   * [batch, sequence, heads * paddedHead].
   */
  readonly attend: (qkv: Value, layer: number) => Value;
}

/** Kernels of attention read heads in steps of eight numbers. */
const HEAD_STEP = 8;

/** Numbers of a head in attention: behind the checkpoint's own there are zeros, which change no product. */
export function paddedHead({ headDim }: Pick<DecoderConfig, 'headDim'>): number {
  return Math.ceil(headDim / HEAD_STEP) * HEAD_STEP;
}

/** What the layers have added up, and what the next part reads of it. */
interface Residual {
  readonly sum: Value;
  readonly x: Value;
}

/** From the embedding to the states that logits are made of. */
export function layers(stack: Stack, embedded: Value): Value {
  const { g, config, traits } = stack;
  const { norms } = traits;
  const nameOf = (layer: number, norm: keyof LayerNorms) => norms[norm] && `layers.${layer}.${norms[norm]}.weight`;
  const scaled = scale(g, embedded, traits.embeddingScale);
  const first = nameOf(0, 'beforeAttention');
  let residual: Residual = { sum: scaled, x: first ? norm(stack, scaled, first, config.hidden) : scaled };
  for (let layer = 0; layer < config.layers; layer++) {
    const attended = g.within(`model.layers.${layer}/attention`, () => {
      return settled(stack, attention(stack, residual.x, layer), nameOf(layer, 'afterAttention'));
    });
    residual = add(stack, residual.sum, attended, nameOf(layer, 'beforeFeedForward'));
    const grown = g.within(`model.layers.${layer}/mlp`, () => {
      return settled(stack, feedForward(stack, residual.x, layer), nameOf(layer, 'afterFeedForward'));
    });
    const next = layer + 1 < config.layers ? nameOf(layer + 1, 'beforeAttention') : 'norm.weight';
    residual = add(stack, residual.sum, grown, next);
  }
  return residual.x;
}

/** What a part of a layer adds. */
function settled(stack: Stack, x: Value, name: string | undefined): Value {
  const normed = name === undefined ? x : norm(stack, x, name, stack.config.hidden);
  return scale(stack.g, normed, stack.traits.residualScale);
}

/** What the residual has become, and the norm of it that is read next, in one operator. */
function add(stack: Stack, sum: Value, added: Value, name: string | undefined): Residual {
  const { g, config } = stack;
  if (name === undefined) {
    const next = g.op('Add', [sum, added]);
    return { sum: next, x: next };
  }
  const inputs = [sum, added, gain(stack, name, gainsOf(stack, name, config.hidden))];
  const attributes = { epsilon: float(config.epsilon) };
  const [x = '', , , next = ''] = g.contrib('SkipSimplifiedLayerNormalization', inputs, 4, attributes);
  return { x, sum: next };
}

function attention(stack: Stack, x: Value, layer: number): Value {
  const { weights, config, traits } = stack;
  const { hidden, heads, kvHeads, headDim } = config;
  const { rotary } = traits.layer(layer);
  const prefix = `layers.${layer}.self_attn`;
  const [wide, narrow] = [heads * headDim, kvHeads * headDim];
  const order: HeadOrder = { headDim, rotated: 2 * (rotary?.frequencies.length ?? 0) };
  const project = (name: string, outputs: number, turned: number) =>
    pairedLinear(weights.linear(`${prefix}.${name}`, hidden, outputs, traits.qkvBias), order, turned);
  const parts = traits.packed
    ? [project('qkv_proj', wide + 2 * narrow, wide + narrow)]
    : [project('q_proj', wide, wide), project('k_proj', narrow, narrow), project('v_proj', narrow, 0)];
  const product = packed(stack, x, `${prefix}.qkv_proj`, parts);
  const qkv = rotate(stack, queryKeyNorms(stack, product, prefix, order), rotary);
  const attended = cutHeads(stack, stack.attend(padHeads(stack, qkv), layer));
  return linear(stack, attended, weights.linear(`${prefix}.o_proj`, wide, hidden, traits.outputBias));
}

/** Every head of queries, keys and values with zeros behind it, as attention reads it. */
function padHeads({ g, config }: Stack, qkv: Value): Value {
  const { heads, kvHeads, headDim } = config;
  const [all, padded] = [heads + 2 * kvHeads, paddedHead(config)];
  if (padded === headDim) return qkv;
  const byHead = g.op('Reshape', [qkv, g.ints([0, 0, all, headDim])]);
  const wider = g.op('Pad', [byHead, g.ints([0, padded - headDim]), '', g.ints([3])]);
  return g.op('Reshape', [wider, g.ints([0, 0, all * padded])]);
}

/** What attention gives, without what it gathered of those zeros. */
function cutHeads({ g, config }: Stack, attended: Value): Value {
  const { heads, headDim } = config;
  const padded = paddedHead(config);
  if (padded === headDim) return attended;
  const byHead = g.op('Reshape', [attended, g.ints([0, 0, heads, padded])]);
  const own = g.op('Slice', [byHead, g.ints([0]), g.ints([headDim]), g.ints([3])]);
  return g.op('Reshape', [own, g.ints([0, 0, heads * headDim])]);
}

function feedForward(stack: Stack, x: Value, layer: number): Value {
  const { g, weights, config, traits } = stack;
  const { hidden, inner } = config;
  const prefix = `layers.${layer}.mlp`;
  const parts = traits.packed
    ? [weights.linear(`${prefix}.gate_up_proj`, hidden, 2 * inner, traits.mlpBias)]
    : ['gate_proj', 'up_proj'].map((name) => weights.linear(`${prefix}.${name}`, hidden, inner, traits.mlpBias));
  const both = packed(stack, x, `${prefix}.gate_up_proj`, parts);
  const [gate = '', up = ''] = g.ops('Split', [both, g.ints([inner, inner])], 2, { axis: -1 });
  const product = g.op('Mul', [activate(g, gate, config.activation), up]);
  return linear(stack, product, weights.linear(`${prefix}.down_proj`, inner, hidden, traits.mlpBias));
}

/** Divided by the root of the mean square along the last dimension (RMSNorm, arxiv.org/abs/1910.07467). */
function norm(stack: Stack, x: Value, name: string, width: number): Value {
  return normBy(stack, x, name, gainsOf(stack, name, width));
}

function normBy(stack: Stack, x: Value, name: string, gains: Float32Array): Value {
  return stack.g.op('SimplifiedLayerNormalization', [x, gain(stack, name, gains)], {
    axis: -1,
    epsilon: float(stack.config.epsilon),
    stash_type: 1,
  });
}

function gainsOf({ weights, traits }: Stack, name: string, width: number): Float32Array {
  const values = weights.vector(name, width);
  return traits.gainOffset === 0 ? values : values.map((value) => value + traits.gainOffset);
}

function gain({ g, weights }: Stack, name: string, values: Float32Array): Value {
  return g.constant(weights.name(name), 'float32', [values.length], dataOf(values));
}

/** Several projections of the same input as one product, side by side; each by itself where some came in blocks of another form. */
function packed(stack: Stack, x: Value, name: string, parts: readonly Linear[]): Value {
  const { g, precision, weights } = stack;
  if (parts.length === 1) return linear(stack, x, parts[0]!);
  const biases = parts.flatMap(({ bias }) => (bias === undefined ? [] : [...bias]));
  const weight = stackRows(parts.map((part) => part.weight));
  if (weight.kept === undefined && parts.some((part) => precision.keeps?.(part.weight))) {
    const products = parts.map((part) => linear(stack, x, part));
    return g.op('Concat', products, { axis: -1 });
  }
  const bias = biases.length === 0 ? undefined : Float32Array.from(biases);
  return precision.linear(g, x, weights.name(`${name}.weight`), weight, bias);
}

function linear({ g, precision }: Stack, x: Value, { name, weight, bias }: Linear): Value {
  return precision.linear(g, x, name, weight, bias);
}

function scale(g: GraphBuilder, x: Value, factor: number): Value {
  return factor === 1 ? x : g.op('Mul', [x, g.scalar(factor)]);
}

/** Queries and keys by gains of their own, in the order of the pairs; values stay. */
function queryKeyNorms(stack: Stack, qkv: Value, prefix: string, order: HeadOrder): Value {
  const { g, config, traits } = stack;
  const { heads, kvHeads, headDim } = config;
  if (traits.queryKeyNorms === 'none') return qkv;
  const byHead = traits.queryKeyNorms === 'heads';
  const size = byHead ? headDim : 1;
  const counts = [heads, kvHeads, kvHeads].map((count) => (count * headDim) / size);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const split = byHead ? g.op('Reshape', [qkv, g.ints([0, 0, all, headDim])]) : qkv;
  const [q = '', k = '', v = ''] = g.ops('Split', [split, g.ints(counts)], 3, { axis: 2 });
  const normed = (part: Value, name: string, count: number) => {
    return normBy(stack, part, name, pairedVector(gainsOf(stack, name, count * headDim), order));
  };
  const parts = [
    normed(q, `${prefix}.q_norm.weight`, byHead ? 1 : heads),
    normed(k, `${prefix}.k_norm.weight`, byHead ? 1 : kvHeads),
    v,
  ];
  const joined = g.op('Concat', parts, { axis: 2 });
  return byHead ? g.op('Reshape', [joined, g.ints([0, 0, all * headDim])]) : joined;
}

/** All heads of queries and keys at once, see rotary.ts; values stand behind them and stay. */
function rotate({ g, config, tables }: Stack, qkv: Value, rotary: Rotary | undefined): Value {
  if (rotary === undefined) return qkv;
  const { cos, sin, rows } = tables(rotary);
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
