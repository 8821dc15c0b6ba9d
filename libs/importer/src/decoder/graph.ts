/**
 * One graph for every decoder of the table of architectures, made for continuous batching:
 *
 *   input_ids, position_ids   int64 [batch, sequence]   new tokens, padded on the right
 *   seqlens_k                 int32 [batch]             tokens in the cache after this pass, padding included, less 1
 *   total_sequence_length     int32 [1]                 sequence
 *   logit_indices             int64 [n]                 tokens of batch x sequence whose logits are wanted: one at
 *                                                       least, with none TopK would divide by zero
 *   top_k                     int64 [1]                 candidates that are wanted of each
 *   log_sum_exp_indices       int64 [m]                 those of the n whose log_sum_exp is wanted; may be none
 *   rotary_lengths            int64 [batch]             with dynamic NTK and longrope only: tokens that the frequencies are
 *                                                       made for
 *   past_key_values.L.key     float32 [batch, kv_heads, capacity, head_dim], and .value; float16 with --dtype fp16
 *
 *   logits                    float32 [n, vocabulary]
 *   top_k_values, top_k_ids   float32, int64 [n, top_k], largest first
 *   log_sum_exp               float32 [m]               a logit less this is the logarithm of a probability
 *   present.L.key, .value     the memory of past_key_values, written in place
 */

import { GRAPH_VERSION, writeDecoderInfo } from '@shoal/models';
import { float, GraphBuilder, type Model, type Value } from '@shoal/onnx';
import type { BuildRequest } from '../architectures/types.js';
import type { Checkpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import type { Matrix } from '../matrix.js';
import { Weights } from '../weights.js';
import type { DecoderConfig } from './config.js';
import { layers, paddedHead, type Stack } from './layer.js';
import { rotaryReader } from './rotary.js';
import type { Traits } from './traits.js';

/**
 * Where the trunk is. Models for texts and images have it beside a part for images, and saved it in two ways
 * (transformers before and since 4.52).
 */
export const TRUNKS = ['language_model.model', 'model.language_model', 'model'];
const HEAD_NAMES = ['language_model.lm_head.weight', 'lm_head.weight'];
export const HEADS = [/^(language_model\.)?lm_head\./];

/** Frequencies that old versions of transformers saved, which follow from config.json; and the part for images. */
export const NOT_READ = [
  /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$/,
  /^(model\.)?(vision_tower|multi_modal_projector)\./,
];

/** @throws ShoalError `model_invalid` naming the tensor that is missing or has the wrong shape */
export function buildDecoder({ checkpoint, precision }: BuildRequest, config: DecoderConfig, traits: Traits): Model {
  const { hidden, vocabulary, kvHeads } = config;
  const { maxContext } = traits;
  if (traits.bidirectional) {
    throw invalid(
      'config.json: use_bidirectional_attention is true: such a model makes embeddings, and generates no text',
    );
  }
  const g = new GraphBuilder({ name: traits.name, opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const whole = new Weights(checkpoint);
  const weights = whole.root(...TRUNKS);
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const positions = g.input('position_ids', 'int64', ['batch', 'sequence']);
  const cached = cachedAttention(g, config, traits);
  const stack: Stack = {
    ...{ g, weights, precision, config, traits, attend: cached.attend },
    tables: rotaryReader(g, {
      ...{ heads: config.heads + kvHeads, headDim: config.headDim, maxContext, positions },
      lengths: () => g.input('rotary_lengths', 'int64', ['batch']),
    }),
  };
  const wanted = g.input('logit_indices', 'int64', ['logits']);

  const table = weights.matrix('embed_tokens.weight', vocabulary, hidden);
  const states = layers(stack, precision.embedding(g, ids, weights.name('embed_tokens.weight'), table));

  const tokens = g.op('Reshape', [states, g.ints([-1, hidden])]);
  const head = headOf(stack, checkpoint, table);
  const product = precision.head(g, g.op('Gather', [tokens, wanted], { axis: 0 }), head.name, head.weight);
  addOutputs(g, boundLogits(g, product, traits), vocabulary);
  whole.ignore(...NOT_READ);
  writeDecoderInfo(g.metadata, {
    ...{ graph: GRAPH_VERSION, layers: config.layers, kvHeads, headDim: paddedHead(config), vocabulary, maxContext },
    window: Math.max(...cached.windows),
    recomputedBeyond: recomputedBeyond(config, traits),
    eosTokenIds: [...config.eosTokenIds],
  });
  return g.build();
}

/** Where keys and values of a text change from its first token on: longrope's long factors. */
function recomputedBeyond({ layers }: DecoderConfig, { layer, maxContext }: Traits): number | null {
  const bounds = Array.from({ length: layers }, (_, n) => layer(n).rotary?.long?.beyond ?? maxContext);
  const bound = Math.min(...bounds);
  return bound < maxContext ? bound : null;
}

/**
 * GroupQueryAttention takes several new tokens in several rows that have different pasts only as a windowed cache
 * (sliding_window_cache) that is told of a first prompt (total_sequence_length = sequence): it then takes each row's past
 * from seqlens_k. The window is the longest context where the layer has none. Its own rotary embedding would count
 * positions from 0 in that mode, so it stands before it.
 */
function cachedAttention(g: GraphBuilder, config: DecoderConfig, traits: Traits) {
  const { heads, kvHeads, headDim } = config;
  const { maxContext } = traits;
  const lengths = g.input('seqlens_k', 'int32', ['batch']);
  const total = g.input('total_sequence_length', 'int32', [1]);
  const windows = Array.from({ length: config.layers }, (_, n) =>
    Math.min(traits.layer(n).window ?? maxContext, maxContext),
  );
  const shape = ['batch', kvHeads, 'capacity', paddedHead(config)];
  const attributes = {
    num_heads: heads,
    kv_num_heads: kvHeads,
    sliding_window_cache: 1,
    scale: float(traits.attentionScale ?? 1 / Math.sqrt(headDim)),
    ...(traits.attentionCap !== undefined && { softcap: float(traits.attentionCap) }),
  };
  const attend = (qkv: Value, layer: number): Value => {
    const past = (kind: 'key' | 'value') => g.input(`past_key_values.${layer}.${kind}`, 'float32', shape);
    const inputs = [qkv, '', '', past('key'), past('value'), lengths, total];
    const [attended = '', key = '', value = ''] = g.contrib('GroupQueryAttention', inputs, 3, {
      ...attributes,
      local_window_size: windows[layer]!,
    });
    g.output(`present.${layer}.key`, key, 'float32', shape);
    g.output(`present.${layer}.value`, value, 'float32', shape);
    return attended;
  };
  return { windows, attend };
}

export function boundLogits(g: GraphBuilder, product: Value, { logitDivisor, logitCap: cap }: Traits): Value {
  const logits = logitDivisor === 1 ? product : g.op('Div', [product, g.scalar(logitDivisor)]);
  if (cap === undefined) return logits;
  return g.op('Mul', [g.op('Tanh', [g.op('Div', [logits, g.scalar(cap)])]), g.scalar(cap)]);
}

interface Head {
  readonly name: string;
  readonly weight: Matrix;
}

/** The matrix that turns a token's state into logits: the embedding where they are tied, as `table` is then stored once. */
export function headOf(
  { weights, config: { tied, vocabulary, hidden } }: Stack,
  checkpoint: Checkpoint,
  table: Matrix,
): Head {
  const name = HEAD_NAMES.find((candidate) => checkpoint.has(candidate)) ?? 'lm_head.weight';
  if (!tied) return { name, weight: checkpoint.matrix(name, vocabulary, hidden) };
  if (checkpoint.has(name)) {
    const own = checkpoint.matrix(name, vocabulary, hidden).read();
    const same = table.read().every((value, at) => value === own[at]);
    if (!same) throw invalid(`config.json: tie_word_embeddings is true, but ${name} is not the embedding`);
  }
  return { name: weights.name('embed_tokens.weight'), weight: table };
}

function addOutputs(g: GraphBuilder, logits: Value, vocabulary: number): void {
  const [values = '', ids = ''] = g.ops('TopK', [logits, g.input('top_k', 'int64', [1])], 2, { axis: -1 });
  g.output('log_sum_exp', logSumExp(g, logits, values, ids), 'float32', ['log_sums']);
  g.output('logits', logits, 'float32', ['logits', vocabulary]);
  g.output('top_k_values', values, 'float32', ['logits', 'candidates']);
  g.output('top_k_ids', ids, 'int64', ['logits', 'candidates']);
}

/**
 * The largest logit less the logarithm of its probability. ReduceLogSumExp computes one exponential after the other;
 * Softmax several at once: with 32 x 49,152 logits 2 ms instead of 9.
 */
function logSumExp(g: GraphBuilder, logits: Value, values: Value, ids: Value): Value {
  const rows = g.input('log_sum_exp_indices', 'int64', ['log_sums']);
  const some = (x: Value) => g.op('Gather', [x, rows], { axis: 0 });
  const first = (x: Value) => some(g.op('Slice', [x, g.ints([0]), g.ints([1]), g.ints([1])]));
  const probabilities = g.op('Softmax', [some(logits)], { axis: -1 });
  const largest = g.op('GatherElements', [probabilities, first(ids)], { axis: 1 });
  return g.op('Squeeze', [g.op('Sub', [first(values), g.op('Log', [largest])]), g.ints([1])]);
}
