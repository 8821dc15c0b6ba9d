/** ALBERT (Lan et al. 2019): BERT whose layers share their weights, and whose embeddings are narrow. */
import { z } from 'zod';
import { activation, classesOf, headSize, layerCount, readConfig, size } from '../config-fields.js';
import { addEmbeddings } from '../encoder/embeddings.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finishBert, type Head } from '../encoder/heads.js';
import { type LayerTensors, postNormLayers, separate } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import { BertConfig } from './bert.js';
import type { Architecture } from './types.js';

const Config = z.object({
  ...BertConfig.shape,
  embedding_size: size.default(128),
  hidden_act: activation.default('gelu_new'),
  num_hidden_groups: layerCount.default(1),
  /** Layers of a group, one after the other. */
  inner_group_num: layerCount.default(1),
});

const LAYER: LayerTensors = {
  project: separate('attention.query', 'attention.key', 'attention.value'),
  out: 'attention.dense',
  attentionNorm: 'attention.LayerNorm',
  up: 'ffn',
  down: 'ffn_output',
  outputNorm: 'full_layer_layer_norm',
};

/** A buffer of old checkpoints, and heads of pre-training. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^(predictions|sop_classifier)\./];
const POOLER = /(^|\.)pooler\./;

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, embedding_size: narrow, num_attention_heads: heads, layer_norm_eps: epsilon } = config;
    headSize(width, heads);
    const whole = new Weights(checkpoint);
    const weights = whole.root('albert');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));

    const e = new EncoderGraph('albert', precision, { repeats: true });
    const embeddings = weights.within('embeddings');
    const summed = addEmbeddings(e, embeddings, {
      vocabulary: config.vocab_size,
      width: narrow,
      positions: config.max_position_embeddings,
      types: config.type_vocab_size,
    });
    const normed = e.norm(summed, embeddings.norm('LayerNorm', narrow), epsilon);
    const encoder = weights.within('encoder');
    const embedded = e.linear(normed, encoder.linear('embedding_hidden_mapping_in', narrow, width));
    const { num_hidden_layers: layers, num_hidden_groups: groups, inner_group_num: inner } = config;
    const each = Array.from({ length: layers }, (_, n) =>
      encoder.list(`albert_layer_groups.${Math.floor((n * groups) / layers)}.albert_layers`, inner),
    ).flat();
    const shape = { width, heads, inner: config.intermediate_size, activation: config.hidden_act, epsilon };
    const x = postNormLayers(e, embedded, each, LAYER, shape, head === 'texts');
    return finishBert(e, head, x, { whole, trunk: weights, pooler: 'pooler', width, classes: classesOf(config) });
  };
}

/** By the class that config.json names. */
export const albert: Readonly<Record<string, Architecture>> = {
  AlbertModel: { task: 'feature-extraction', build: build('none') },
  AlbertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  AlbertForPreTraining: { task: 'feature-extraction', build: build('none') },
  AlbertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  AlbertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
