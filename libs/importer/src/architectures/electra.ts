/** ELECTRA (Clark et al. 2020): BERT whose embeddings may be narrower than its layers. */
import { z } from 'zod';
import { attentionWidth, classesOf, readConfig, size } from '../config-fields.js';
import { addEmbeddings } from '../encoder/embeddings.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { postNormLayers } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import { BERT_LAYER, BertConfig } from './bert.js';
import type { Architecture } from './types.js';

const Config = z.object({ ...BertConfig.shape, embedding_size: size.default(128), head_dim: size.nullish() });

/** A buffer of old checkpoints, and heads of pre-training. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^(discriminator|generator)_(predictions|lm_head)\./];

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, embedding_size: narrow, num_attention_heads: heads, layer_norm_eps: epsilon } = config;
    const attention = attentionWidth(width, heads, config.head_dim);
    const whole = new Weights(checkpoint);
    const weights = whole.root('electra');
    whole.ignore(...UNUSED);

    const e = new EncoderGraph('electra', precision);
    const embeddings = weights.within('embeddings');
    const summed = addEmbeddings(e, embeddings, {
      vocabulary: config.vocab_size,
      width: narrow,
      positions: config.max_position_embeddings,
      types: config.type_vocab_size,
    });
    const normed = e.norm(summed, embeddings.norm('LayerNorm', narrow), epsilon);
    const embedded = narrow === width ? normed : e.linear(normed, weights.linear('embeddings_project', narrow, width));
    const layers = weights.list('encoder.layer', config.num_hidden_layers);
    const inner = config.intermediate_size;
    const shape = { width, heads, attention, inner, activation: config.hidden_act, epsilon };
    const x = postNormLayers(e, embedded, layers, BERT_LAYER, shape, head === 'texts');
    const classes = classesOf(config);
    if (head === 'none') return finish(e, head, x, width);
    if (head === 'tokens') return finish(e, head, e.classify(x, whole.linear('classifier', width, classes)), classes);
    const hidden = e.activate(e.linear(x, whole.linear('classifier.dense', width, width)), 'gelu');
    return finish(e, head, e.classify(hidden, whole.linear('classifier.out_proj', width, classes)), classes);
  };
}

/** By the class that config.json names. */
export const electra: Readonly<Record<string, Architecture>> = {
  ElectraModel: { task: 'feature-extraction', build: build('none') },
  ElectraForPreTraining: { task: 'feature-extraction', build: build('none') },
  ElectraForMaskedLM: { task: 'feature-extraction', build: build('none') },
  ElectraForSequenceClassification: { task: 'text-classification', build: build('texts') },
  ElectraForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
