/** RoBERTa (Liu et al. 2019) and the multilingual XLM-RoBERTa: BERT with positions that count past the padding id. */
import { type GraphBuilder, lazyData, type Value } from '@shoal/onnx';
import { z } from 'zod';
import { attentionWidth, classesOf, readConfig, size } from '../config-fields.js';
import { EncoderGraph, INT64 } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { postNormLayers } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import { BERT_LAYER, BertConfig } from './bert.js';
import type { Architecture } from './types.js';

/** Buffers of old checkpoints, heads of pre-training, and a pooler that no class reads. */
const UNUSED = [/(^|\.)embeddings\.(position_ids|token_type_ids)$/, /^lm_head\./, /(^|\.)pooler\./];

const Config = z.object({ ...BertConfig.shape, head_dim: size.nullish() });

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const {
      hidden_size: width,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      layer_norm_eps: epsilon,
    } = config;
    const attention = attentionWidth(width, heads, config.head_dim);
    const whole = new Weights(checkpoint);
    const weights = whole.root('roberta');
    whole.ignore(...UNUSED);

    const e = new EncoderGraph('roberta', precision);
    const embeddings = weights.within('embeddings');
    const words = embeddings.matrix('word_embeddings.weight', config.vocab_size, width);
    // Its tokenizers know one type of token, so the vector of that type becomes part of each position's.
    const types = embeddings.matrix('token_type_embeddings.weight', config.type_vocab_size, width);
    const positions = embeddings.matrix('position_embeddings.weight', config.max_position_embeddings, width);
    const typed = lazyData(4 * positions.rows * width, () =>
      addToRows(positions.read(), types.read().subarray(0, width)),
    );
    const places = e.g.op('Gather', [
      e.g.constant(embeddings.name('position_embeddings.weight'), 'float32', [positions.rows, width], typed),
      e.perToken(offsetPositions(e.g, e.ids, config.pad_token_id ?? 1)),
    ]);
    const embedded = e.addNorm(
      e.embedding(e.perToken(e.ids), embeddings.name('word_embeddings.weight'), words),
      places,
      embeddings.norm('LayerNorm', width),
      epsilon,
    );

    const inner = config.intermediate_size;
    const shape = { width, heads, attention, inner, activation: config.hidden_act, epsilon };
    const x = postNormLayers(e, embedded, weights.list('encoder.layer', layers), BERT_LAYER, shape, head === 'texts');
    if (head === 'none') return finish(e, head, x, width);
    return finishClassifier(e, head, x, whole, width, classesOf(config));
  };
}

/** Two linear maps over texts, with a tanh between; one over tokens. */
export function finishClassifier(
  e: EncoderGraph,
  head: 'texts' | 'tokens',
  x: Value,
  weights: Weights,
  width: number,
  classes: number,
): ReturnType<typeof finish> {
  if (head === 'tokens') return finish(e, head, e.classify(x, weights.linear('classifier', width, classes)), classes);
  const hidden = e.g.op('Tanh', [e.linear(x, weights.linear('classifier.dense', width, width))]);
  return finish(e, head, e.classify(hidden, weights.linear('classifier.out_proj', width, classes)), classes);
}

/** The n-th token that is no padding is at the padding id + n; padding itself is at the padding id. */
export function offsetPositions(g: GraphBuilder, ids: Value, padId: number): Value {
  const real = g.op('Cast', [g.op('Not', [g.op('Equal', [ids, g.scalar(padId, 'int64')])])], { to: INT64 });
  const count = g.op('Mul', [g.op('CumSum', [real, g.scalar(1, 'int64')]), real]);
  return g.op('Add', [count, g.scalar(padId, 'int64')]);
}

function addToRows(rows: Float32Array, row: Float32Array): Float32Array {
  return rows.map((value, n) => value + row[n % row.length]!);
}

/** By the class that config.json names. */
export const roberta: Readonly<Record<string, Architecture>> = Object.fromEntries(
  ['Roberta', 'XLMRoberta', 'Camembert'].flatMap((family): [string, Architecture][] => [
    [`${family}Model`, { task: 'feature-extraction', build: build('none') }],
    [`${family}ForMaskedLM`, { task: 'feature-extraction', build: build('none') }],
    [`${family}ForSequenceClassification`, { task: 'text-classification', build: build('texts') }],
    [`${family}ForTokenClassification`, { task: 'token-classification', build: build('tokens') }],
  ]),
);
