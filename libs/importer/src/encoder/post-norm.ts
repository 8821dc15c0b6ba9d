/** Layers as BERT has them: attention, then two linear maps, each added to its input and then normalised. */
import type { Value } from '@shoal/onnx';
import type { Activation } from '../config-fields.js';
import type { Weights } from '../weights.js';
import type { EncoderGraph } from './graph.js';

/** Names of tensors below those of a layer. */
export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly out: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly outputNorm: string;
}

export interface PostNormShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
  readonly activation: Activation;
  readonly epsilon: number;
  /** Added to the attention scores of every layer instead of the graph's `padding`, which it includes. */
  readonly bias?: Value;
}

/**
 * Hidden states of the last layer, [tokens, width]; [batch, width] with `firstOnly`: a classifier of texts reads the first
 * token only, so the last layer is computed for no other.
 */
export function postNormLayers(
  e: EncoderGraph,
  embedded: Value,
  weights: readonly Weights[],
  names: LayerNames,
  shape: PostNormShape,
  firstOnly: boolean,
): Value {
  return weights.reduce((x, layer, n) => {
    const last = n === shape.layers - 1;
    return e.g.within(`layer.${n}`, () => postNormLayer(e, x, layer, names, shape, firstOnly && last));
  }, embedded);
}

function postNormLayer(
  e: EncoderGraph,
  x: Value,
  weights: Weights,
  names: LayerNames,
  { width, heads, inner, activation, epsilon, bias }: PostNormShape,
  firstOnly: boolean,
): Value {
  const square = (name: string) => weights.linear(name, width, width);
  const [q, k, v] = [square(names.query), square(names.key), square(names.value)];
  const name = `${weights.name(names.query)}_key_value`;
  const source = firstOnly ? e.first(x) : x;
  const all = e.packed(x, name, firstOnly ? [k, v] : [q, k, v]);
  const rows = e.rows(all, firstOnly ? 2 : 3, width);
  if (firstOnly) rows.unshift(e.g.op('Unsqueeze', [e.linear(source, q), e.g.ints([1])]));
  const [query = '', key = '', value = ''] = rows;
  const first = firstOnly && bias !== undefined;
  const rowBias = first ? e.g.op('Slice', [bias, e.g.ints([0]), e.g.ints([1]), e.g.ints([2])]) : bias;
  const attended = e.attention({ query, key, value, heads, width, bias: rowBias });
  const own = firstOnly ? e.g.op('Squeeze', [attended, e.g.ints([1])]) : e.tokens(attended, width);
  const out = e.linear(own, square(names.out));
  const middle = e.addNorm(out, source, weights.norm(names.attentionNorm, width), epsilon);
  const grown = e.activate(e.linear(middle, weights.linear(names.up, width, inner)), activation);
  const shrunk = e.linear(grown, weights.linear(names.down, inner, width));
  return e.addNorm(shrunk, middle, weights.norm(names.outputNorm, width), epsilon);
}
