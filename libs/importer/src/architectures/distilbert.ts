/** DistilBERT (Sanh et al. 2019): BERT with half its layers, and neither token types nor pooler. */
import { z } from 'zod';
import { activation, attentionWidth, classesOf, common, layerCount, readConfig, size } from '../config-fields.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { type LayerTensors, postNormLayers, separate } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import type { Architecture } from './types.js';

const Config = z.object({
  ...common,
  dim: size,
  n_layers: layerCount,
  n_heads: size,
  hidden_dim: size,
  head_dim: size.nullish(),
  max_position_embeddings: size,
  activation: activation.default('gelu'),
});

const LAYER: LayerTensors = {
  project: separate('attention.q_lin', 'attention.k_lin', 'attention.v_lin'),
  out: 'attention.out_lin',
  attentionNorm: 'sa_layer_norm',
  up: 'ffn.lin1',
  down: 'ffn.lin2',
  outputNorm: 'output_layer_norm',
};

/** No field of config.json. */
const EPSILON = 1e-12;

/** A buffer of old checkpoints, and the head of pre-training. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^vocab_(transform|layer_norm|projector)\./];

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { dim: width, n_layers: layers, n_heads: heads } = config;
    const attention = attentionWidth(width, heads, config.head_dim);
    const whole = new Weights(checkpoint);
    const weights = whole.root('distilbert');
    whole.ignore(...UNUSED);

    const e = new EncoderGraph('distilbert', precision);
    const embeddings = weights.within('embeddings');
    const table = embeddings.matrix('word_embeddings.weight', config.vocab_size, width);
    const words = e.embedding(e.perToken(e.ids), embeddings.name('word_embeddings.weight'), table);
    const positions = embeddings.matrix('position_embeddings.weight', config.max_position_embeddings, width);
    const placed = e.lookUp(
      e.positions,
      embeddings.name('position_embeddings.weight'),
      positions.rows,
      width,
      positions.data,
    );
    const embedded = e.addNorm(words, placed, embeddings.norm('LayerNorm', width), EPSILON);

    const inner = config.hidden_dim;
    const shape = { width, heads, attention, inner, activation: config.activation, epsilon: EPSILON };
    const x = postNormLayers(e, embedded, weights.list('transformer.layer', layers), LAYER, shape, head === 'texts');
    if (head === 'none') return finish(e, head, x, width);
    const classifier = whole.linear('classifier', width, classesOf(config));
    if (head === 'tokens') return finish(e, head, e.classify(x, classifier), classifier.weight.rows);
    const pooled = e.activate(e.linear(x, whole.linear('pre_classifier', width, width)), 'relu');
    return finish(e, head, e.classify(pooled, classifier), classifier.weight.rows);
  };
}

/** By the class that config.json names. */
export const distilbert: Readonly<Record<string, Architecture>> = {
  DistilBertModel: { task: 'feature-extraction', build: build('none') },
  DistilBertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  DistilBertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  DistilBertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
