/** Layers as BERT has them: attention, then a feed-forward part, each added to its input and then normalised. */
import type { Value } from '@shoal/onnx';
import type { Activation } from '../config-fields.js';
import type { Linear, Weights } from '../weights.js';
import type { EncoderGraph } from './graph.js';
import { type RotaryTables, turn } from './rotary.js';

/** The maps to query, key and value of a layer: from states of `width` to `attention` numbers. */
export type Project = (
  layer: Weights,
  width: number,
  attention: number,
) => readonly [query: Linear, key: Linear, value: Linear];

/** Where the tensors of a layer are, by names below its own. Maps have biases unless something else is said. */
export interface LayerTensors {
  readonly project: Project;
  readonly out: string;
  readonly outBias?: boolean;
  readonly attentionNorm: string;
  readonly up: string;
  readonly upBias?: boolean;
  /** What is activated in place of `up`'s, and multiplies it: a map of its own, or the first or last rows of `up`'s matrix. */
  readonly gate?: { readonly map: string } | { readonly rows: 'first' | 'last' };
  readonly down: string;
  readonly downBias?: boolean;
  readonly outputNorm: string;
}

/** Three maps of the names given. */
export function separate(query: string, key: string, value: string, bias = true): Project {
  return (layer, width, attention) => [
    layer.linear(query, width, attention, bias),
    layer.linear(key, width, attention, bias),
    layer.linear(value, width, attention, bias),
  ];
}

/** One map, whose matrix has the rows of all three one above the other. */
export function fused(name: string, bias = true): Project {
  return (layer, width, attention) => {
    const { name: full, weight, bias: all } = layer.linear(name, width, 3 * attention, bias);
    const part = (n: number): Linear => ({
      name: `${full}.${n}`,
      weight: weight.pickRows(attention, (row) => n * attention + row),
      bias: all?.subarray(n * attention, (n + 1) * attention),
    });
    return [part(0), part(1), part(2)];
  };
}

export interface PostNormShape {
  readonly width: number;
  readonly heads: number;
  /** Numbers of all heads together; `width` where left out. */
  readonly attention?: number;
  readonly inner: number;
  readonly activation: Activation;
  readonly epsilon: number;
  /** Added to the attention scores of every layer instead of the graph's `padding`, which it includes. */
  readonly bias?: Value;
  readonly rotary?: RotaryTables;
  /** What scores depend on beside query and key, [batch, heads, sequence, sequence], padding included: of each layer anew. */
  readonly scores?: (layer: Weights, query: Value, key: Value) => Value;
  /** What scores are multiplied by; 1 / √(width of a head) where left out. */
  readonly scale?: number;
  /** What becomes of the hidden states of layer `n`. */
  readonly after?: (x: Value, n: number) => Value;
}

/**
 * Hidden states of the last layer, [tokens, width]; [batch, width] with `firstOnly`: a classifier of texts reads the first
 * token only, so the last layer is computed for no other. (Not where layers have `scores` or `after`, which need all.)
 */
export function postNormLayers(
  e: EncoderGraph,
  embedded: Value,
  weights: readonly Weights[],
  tensors: LayerTensors,
  shape: PostNormShape,
  firstOnly: boolean,
): Value {
  const whole = shape.scores !== undefined || shape.after !== undefined;
  const x = weights.reduce((states, layer, n) => {
    const last = n === weights.length - 1;
    return e.g.within(`layer.${n}`, () => {
      const out = postNormLayer(e, states, layer, tensors, shape, firstOnly && last && !whole);
      return shape.after?.(out, n) ?? out;
    });
  }, embedded);
  return firstOnly && whole ? e.first(x) : x;
}

function postNormLayer(
  e: EncoderGraph,
  x: Value,
  weights: Weights,
  tensors: LayerTensors,
  shape: PostNormShape,
  firstOnly: boolean,
): Value {
  const { width, heads, attention = width, epsilon, bias, rotary, scale } = shape;
  const [q, k, v] = tensors.project(weights, width, attention);
  const source = firstOnly ? e.first(x) : x;
  const all = firstOnly ? e.packed(x, `${k.name}_value`, [k, v]) : e.packed(x, `${q.name}_key_value`, [q, k, v]);
  const rows = e.rows(all, firstOnly ? 2 : 3, attention);
  if (firstOnly) rows.unshift(e.g.op('Unsqueeze', [e.linear(source, q), e.g.ints([1])]));
  const turned = (states: Value) => (rotary === undefined ? states : turn(e, states, rotary, heads));
  const [query, key, value = ''] = [turned(rows[0]!), turned(rows[1]!), rows[2]];
  const first = firstOnly && bias !== undefined;
  const rowBias = first ? e.g.op('Slice', [bias, e.g.ints([0]), e.g.ints([1]), e.g.ints([2])]) : bias;
  const scores = shape.scores?.(weights, query, key) ?? rowBias;
  const attended = e.attention({ query, key, value, heads, width: attention, bias: scores, scale });
  const own = firstOnly ? e.g.op('Squeeze', [attended, e.g.ints([1])]) : e.tokens(attended, attention);
  const out = e.linear(own, weights.linear(tensors.out, attention, width, tensors.outBias));
  const middle = e.addNorm(out, source, weights.norm(tensors.attentionNorm, width), epsilon);
  const grown = feedForward(e, middle, weights, tensors, shape);
  return e.addNorm(grown, middle, weights.norm(tensors.outputNorm, width), epsilon);
}

function feedForward(
  e: EncoderGraph,
  x: Value,
  weights: Weights,
  { gate, up, upBias, down, downBias }: LayerTensors,
  { width, inner, activation }: PostNormShape,
): Value {
  const shrink = (grown: Value) => e.linear(grown, weights.linear(down, inner, width, downBias));
  if (gate === undefined) return shrink(e.activate(e.linear(x, weights.linear(up, width, inner, upBias)), activation));
  const maps = 'map' in gate ? [gate.map, up].map((name) => weights.linear(name, width, inner, upBias)) : undefined;
  const both = maps
    ? e.packed(x, `${weights.name(up)}_gate.weight`, maps)
    : e.linear(x, weights.linear(up, width, 2 * inner, upBias));
  const parts = e.g.ops('Split', [both, e.g.ints([inner, inner])], 2, { axis: -1 });
  const [gated = '', plain = ''] = 'rows' in gate && gate.rows === 'last' ? parts.toReversed() : parts;
  return shrink(e.g.op('Mul', [e.activate(gated, activation), plain]));
}
