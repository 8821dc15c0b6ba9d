/** Layers as BERT has them: attention, then two linear maps, each added to its input and then normalised. */
import type { Value } from '@shoal/onnx';
import type { Activation } from './config.js';
import type { EncoderGraph } from './graph.js';
import type { Weights } from './weights.js';

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
  /** Added to the attention scores of every layer. */
  readonly bias?: Value;
}

/**
 * Hidden states of the last layer, [batch, sequence, width]; [batch, 1, width] with `firstOnly`: a classifier of texts reads
 * the first token only, so the last layer is computed for no other.
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
  { width, heads, inner, activation, epsilon, bias = '' }: PostNormShape,
  firstOnly: boolean,
): Value {
  const square = (name: string) => weights.linear(name, width, width);
  const [q, k, v] = [square(names.query), square(names.key), square(names.value)];
  const source = firstOnly ? e.first(x) : x;
  const packed = `${weights.name(names.query)}_key_value`;
  const [query = '', key = '', value = ''] = firstOnly
    ? [e.linear(source, q), ...e.linears(x, packed, [k, v])]
    : e.linears(x, packed, [q, k, v]);
  const rowBias =
    firstOnly && bias !== '' ? e.g.op('Slice', [bias, e.g.ints([0]), e.g.ints([1]), e.g.ints([2])]) : bias;
  const attended = e.attention({ query, key, value, heads, bias: rowBias });
  const out = e.linear(attended, square(names.out));
  const middle = e.addNorm(out, source, weights.norm(names.attentionNorm, width), epsilon);
  const grown = e.activate(e.linear(middle, weights.linear(names.up, width, inner)), activation);
  const shrunk = e.linear(grown, weights.linear(names.down, inner, width));
  return e.addNorm(shrunk, middle, weights.norm(names.outputNorm, width), epsilon);
}
