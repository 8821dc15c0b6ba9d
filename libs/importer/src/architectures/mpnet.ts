/** MPNet (Song et al. 2020): positions as in RoBERTa, and attention scores that depend on the distance as in T5. */
import { dataOf } from '@shoal/onnx';
import { z } from 'zod';
import { activation, classesOf, common, headSize, layerCount, only, readConfig, size } from '../config-fields.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { type LayerTensors, postNormLayers, separate } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import { finishClassifier, offsetPositions } from './roberta.js';
import type { Architecture } from './types.js';

const Config = z.object({
  ...common,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  relative_attention_num_buckets: only(32),
  hidden_act: activation.default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-12),
});

const LAYER: LayerTensors = {
  project: separate('attention.attn.q', 'attention.attn.k', 'attention.attn.v'),
  out: 'attention.attn.o',
  attentionNorm: 'attention.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  outputNorm: 'output.LayerNorm',
};

/** transformers calls `relative_position_bucket` with its defaults, whatever config.json says. */
const BUCKETS = 32;
const MAX_DISTANCE = 128;

/** A buffer of old checkpoints, the head of pre-training, and a pooler that no class reads. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^lm_head\./, /(^|\.)pooler\./];

/** Transformers leaves this id fixed in MPNet's embeddings, whatever config.json says. */
const PADDING = 1;

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const {
      hidden_size: width,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      layer_norm_eps: epsilon,
    } = config;
    headSize(width, heads);
    const whole = new Weights(checkpoint);
    const weights = whole.root('mpnet');
    whole.ignore(...UNUSED);

    const e = new EncoderGraph('mpnet', precision);
    const embeddings = weights.within('embeddings');
    const words = embeddings.matrix('word_embeddings.weight', config.vocab_size, width);
    const positions = embeddings.matrix('position_embeddings.weight', config.max_position_embeddings, width);
    const places = e.g.op('Gather', [
      e.g.constant(embeddings.name('position_embeddings.weight'), 'float32', [positions.rows, width], positions.data),
      e.perToken(offsetPositions(e.g, e.ids, PADDING)),
    ]);
    const embedded = e.addNorm(
      e.embedding(e.perToken(e.ids), embeddings.name('word_embeddings.weight'), words),
      places,
      embeddings.norm('LayerNorm', width),
      epsilon,
    );

    const table = weights.matrix('encoder.relative_attention_bias.weight', BUCKETS, heads).read();
    const bias = distanceBias(e, table, heads, config.max_position_embeddings);
    const shape = {
      width,
      heads,
      inner: config.intermediate_size,
      activation: config.hidden_act,
      epsilon,
      bias,
    };
    const x = postNormLayers(e, embedded, weights.list('encoder.layer', layers), LAYER, shape, head === 'texts');
    if (head === 'none') return finish(e, head, x, width);
    return finishClassifier(e, head, x, whole, width, classesOf(config));
  };
}

/** [batch, heads, sequence, sequence]: what is added to the score of a key at some distance, for every query, and padding. */
function distanceBias(e: EncoderGraph, table: Float32Array, heads: number, longest: number) {
  const { g } = e;
  // By distance, from −(longest − 1) to longest − 1, so that the graph needs no logarithms.
  const distances = 2 * longest - 1;
  const byDistance = new Float32Array(heads * distances);
  for (let n = 0; n < distances; n++) {
    const bucket = bucketOf(n - (longest - 1));
    for (let head = 0; head < heads; head++) byDistance[head * distances + n] = table[bucket * heads + head]!;
  }
  const rows = g.op('Unsqueeze', [e.columns, g.ints([1])]);
  const distance = g.op('Sub', [g.op('Unsqueeze', [e.columns, g.ints([0])]), rows]);
  const index = g.op('Add', [distance, g.scalar(longest - 1, 'int64')]);
  const constant = g.constant('distance_bias', 'float32', [1, heads, distances], dataOf(byDistance));
  return g.op('Add', [g.op('Gather', [constant, index], { axis: 2 }), e.padding]);
}

/** Bucket of key − query: half for each direction, exact up to 8, then wider and wider up to 128. */
function bucketOf(distance: number): number {
  const half = BUCKETS / 2;
  const exact = half / 2;
  const side = distance > 0 ? half : 0;
  const away = Math.abs(distance);
  if (away < exact) return side + away;
  // In float32, as PyTorch computes it: the borders between buckets are where rounding decides.
  const ratio = Math.fround(Math.log(Math.fround(away / exact)));
  const steps = Math.fround(Math.fround(ratio / Math.fround(Math.log(MAX_DISTANCE / exact))) * (half - exact));
  return side + Math.min(half - 1, exact + Math.trunc(steps));
}

/** By the class that config.json names. */
export const mpnet: Readonly<Record<string, Architecture>> = {
  MPNetModel: { task: 'feature-extraction', build: build('none') },
  MPNetForMaskedLM: { task: 'feature-extraction', build: build('none') },
  MPNetForSequenceClassification: { task: 'text-classification', build: build('texts') },
  MPNetForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
