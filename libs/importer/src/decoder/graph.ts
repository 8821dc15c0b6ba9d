/**
 * One graph for every decoder of the Llama family, made for continuous batching:
 *
 *   input_ids, position_ids   int64 [batch, sequence]   new tokens, padded on the right
 *   seqlens_k                 int32 [batch]             tokens in the cache after this pass, padding included, less 1
 *   total_sequence_length     int32 [1]                 sequence
 *   logit_indices             int64 [n]                 tokens of batch x sequence whose logits are wanted: one at
 *                                                       least, with none TopK would divide by zero
 *   top_k                     int64 [1]                 candidates that are wanted of each
 *   log_sum_exp_indices       int64 [m]                 those of the n whose log_sum_exp is wanted; may be none
 *   rotary_lengths            int64 [batch]             with dynamic NTK only: tokens that the frequencies are made for
 *   past_key_values.L.key     float32 [batch, kv_heads, capacity, head_dim], and .value; float16 with --dtype fp16
 *
 *   logits                    float32 [n, vocabulary]
 *   top_k_values, top_k_ids   float32, int64 [n, top_k], largest first
 *   log_sum_exp               float32 [m]               a logit less this is the logarithm of a probability
 *   present.L.key, .value     the memory of past_key_values, written in place
 */

import { GRAPH_VERSION, writeDecoderInfo } from '@shoal/models';
import { GraphBuilder, type Model, type Value } from '@shoal/onnx';
import type { BuildRequest } from '../architectures/types.js';
import type { Checkpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import type { Matrix } from '../matrix.js';
import { Weights } from '../weights.js';
import type { DecoderConfig } from './config.js';
import { addNorm, attention, feedForward, norm, type Stack, type Traits } from './layer.js';
import { rotaryTables } from './rotary.js';

const EMBEDDING = 'model.embed_tokens.weight';

/** Frequencies that old versions of transformers saved; they follow from config.json. */
const ROTARY_BUFFER = /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$/;

/** @throws ShoalError `model_invalid` naming the tensor that is missing or has the wrong shape */
export function buildDecoder({ checkpoint, precision }: BuildRequest, config: DecoderConfig, traits: Traits): Model {
  const { layers, hidden, vocabulary, maxContext, kvHeads, headDim } = config;
  const g = new GraphBuilder({ name: traits.name, opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const weights = new Weights(checkpoint);
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const positions = g.input('position_ids', 'int64', ['batch', 'sequence']);
  const windows = Array.from({ length: layers }, (_, n) => Math.min(traits.windowOf(n) ?? maxContext, maxContext));
  const stack: Stack = {
    ...{ g, weights, precision, config, traits, windows },
    lengths: g.input('seqlens_k', 'int32', ['batch']),
    total: g.input('total_sequence_length', 'int32', [1]),
    rotary: rotaryTables(g, config, positions),
  };
  const wanted = g.input('logit_indices', 'int64', ['logits']);

  const table = weights.matrix(EMBEDDING, vocabulary, hidden);
  const embedded = precision.embedding(g, ids, EMBEDDING, table);
  let residual = { sum: embedded, x: norm(stack, embedded, 'model.layers.0.input_layernorm.weight', hidden) };
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const attended = g.within(`${prefix}/attention`, () => attention(stack, residual.x, layer));
    residual = addNorm(stack, residual.sum, attended, `${prefix}.post_attention_layernorm.weight`);
    const grown = g.within(`${prefix}/mlp`, () => feedForward(stack, residual.x, layer));
    const next = layer + 1 < layers ? `model.layers.${layer + 1}.input_layernorm.weight` : 'model.norm.weight';
    residual = addNorm(stack, residual.sum, grown, next);
  }

  const tokens = g.op('Reshape', [residual.x, g.ints([-1, hidden])]);
  const head = headOf(stack, checkpoint, table);
  const logits = precision.head(g, g.op('Gather', [tokens, wanted], { axis: 0 }), head.name, head.weight);
  addOutputs(g, logits, vocabulary);
  weights.ignore(ROTARY_BUFFER);
  writeDecoderInfo(g.metadata, {
    ...{ graph: GRAPH_VERSION, layers, kvHeads, headDim, vocabulary, maxContext },
    window: Math.max(...windows),
    eosTokenIds: [...config.eosTokenIds],
  });
  return g.build();
}

interface Head {
  readonly name: string;
  readonly weight: Matrix;
}

/** The matrix that turns a token's state into logits: the embedding where they are tied, as `table` is then stored once. */
function headOf({ weights, config: { tied, vocabulary, hidden } }: Stack, checkpoint: Checkpoint, table: Matrix): Head {
  const name = 'lm_head.weight';
  if (!tied) return { name, weight: weights.matrix(name, vocabulary, hidden) };
  if (checkpoint.has(name)) {
    const own = weights.matrix(name, vocabulary, hidden).read();
    const same = table.read().every((value, at) => value === own[at]);
    if (!same) throw invalid(`config.json: tie_word_embeddings is true, but ${name} is not the embedding`);
  }
  return { name: EMBEDDING, weight: table };
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
