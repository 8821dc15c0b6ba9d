/** BERT (Devlin et al. 2018), and what was trained in its form: MiniLM, BGE, E5, GTE, Contriever, ... */
import { z } from 'zod';
import { activation, attentionWidth, classesOf, common, layerCount, only, readConfig, size } from '../config-fields.js';
import { addEmbeddings } from '../encoder/embeddings.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finishBert, type Head } from '../encoder/heads.js';
import { type LayerTensors, postNormLayers, separate } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import type { Architecture } from './types.js';

/** Shared with RoBERTa, whose config.json has the same fields. */
export const BertConfig = z.object({
  ...common,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  type_vocab_size: size.default(2),
  hidden_act: activation.default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-12),
  position_embedding_type: only('absolute'),
});
export type BertConfig = z.infer<typeof BertConfig>;

/** Beside what others that are built like it have. */
const Config = z.object({ ...BertConfig.shape, head_dim: size.nullish() });

export const BERT_LAYER: LayerTensors = {
  project: separate('attention.self.query', 'attention.self.key', 'attention.self.value'),
  out: 'attention.output.dense',
  attentionNorm: 'attention.output.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  outputNorm: 'output.LayerNorm',
};

/** Buffers of old checkpoints, and heads of pre-training. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^cls\./];
const POOLER = /(^|\.)pooler\./;

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, num_hidden_layers: layers, layer_norm_eps: epsilon } = config;
    const heads = config.num_attention_heads;
    const attention = attentionWidth(width, heads, config.head_dim);
    const whole = new Weights(checkpoint);
    const weights = whole.root('bert');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));

    const e = new EncoderGraph('bert', precision);
    const embeddings = weights.within('embeddings');
    const tables = { vocabulary: config.vocab_size, width, positions: config.max_position_embeddings };
    const summed = addEmbeddings(e, embeddings, { ...tables, types: config.type_vocab_size });
    const embedded = e.norm(summed, embeddings.norm('LayerNorm', width), epsilon);

    const x = postNormLayers(
      e,
      embedded,
      weights.list('encoder.layer', layers),
      BERT_LAYER,
      {
        width,
        heads,
        attention,
        inner: config.intermediate_size,
        activation: config.hidden_act,
        epsilon,
      },
      head === 'texts',
    );
    return finishBert(e, head, x, { whole, trunk: weights, width, classes: classesOf(config) });
  };
}

/** By the class that config.json names. */
export const bert: Readonly<Record<string, Architecture>> = {
  BertModel: { task: 'feature-extraction', build: build('none') },
  BertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  BertForPreTraining: { task: 'feature-extraction', build: build('none') },
  BertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  BertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
