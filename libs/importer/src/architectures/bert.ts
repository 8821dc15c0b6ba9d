/** BERT (Devlin et al. 2018), and what was trained in its form: MiniLM, BGE, E5, GTE, Contriever, ... */
import { z } from 'zod';
import { activation, classesOf, common, headSize, layerCount, only, readConfig, size } from '../config-fields.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { type LayerNames, postNormLayers } from '../encoder/post-norm.js';
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

export const BERT_LAYER: LayerNames = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
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
    const config = readConfig(BertConfig, json);
    const { hidden_size: width, num_hidden_layers: layers, layer_norm_eps: epsilon } = config;
    headSize(width, config.num_attention_heads);
    const whole = new Weights(checkpoint);
    const weights = whole.root('bert');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));

    const e = new EncoderGraph('bert', precision);
    const { g } = e;
    const types = g.input('token_type_ids', 'int64', ['batch', 'sequence']);
    const embeddings = weights.within('embeddings');
    const table = (name: string, rows: number) => embeddings.matrix(`${name}.weight`, rows, width);
    const { rows, data } = table('token_type_embeddings', config.type_vocab_size);
    const typed = e.lookUp(e.perToken(types), embeddings.name('token_type_embeddings.weight'), rows, width, data);
    const positions = table('position_embeddings', config.max_position_embeddings);
    const placed = e.lookUp(
      e.positions,
      embeddings.name('position_embeddings.weight'),
      positions.rows,
      width,
      positions.data,
    );
    const words = e.embedding(
      e.perToken(e.ids),
      embeddings.name('word_embeddings.weight'),
      table('word_embeddings', config.vocab_size),
    );
    const embedded = e.addNorm(g.op('Add', [words, typed]), placed, embeddings.norm('LayerNorm', width), epsilon);

    const encoder = weights.within('encoder.layer');
    const x = postNormLayers(
      e,
      embedded,
      Array.from({ length: layers }, (_, n) => encoder.within(String(n))),
      BERT_LAYER,
      {
        layers,
        width,
        heads: config.num_attention_heads,
        inner: config.intermediate_size,
        activation: config.hidden_act,
        epsilon,
      },
      head === 'texts',
    );
    if (head === 'none') return finish(e, head, x, width);
    const classifier = whole.linear('classifier', width, classesOf(config));
    if (head === 'tokens') return finish(e, head, e.classify(x, classifier), classifier.weight.rows);
    const pooled = g.op('Tanh', [e.linear(x, weights.linear('pooler.dense', width, width))]);
    return finish(e, head, e.classify(pooled, classifier), classifier.weight.rows);
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
