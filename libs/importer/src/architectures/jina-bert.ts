/** JinaBERT v2 (Günther et al. 2023): BERT without positions; scores fall with the distance (ALiBi), both ways, and maps are gated. */
import { dataOf, type Value } from '@shoal/onnx';
import { z } from 'zod';
import { classesOf, headSize, only, readConfig } from '../config-fields.js';
import { addEmbeddings } from '../encoder/embeddings.js';
import { EncoderGraph, FLOAT32 } from '../encoder/graph.js';
import { finishBert, type Head } from '../encoder/heads.js';
import { type LayerTensors, postNormLayers } from '../encoder/post-norm.js';
import { Weights } from '../weights.js';
import { BERT_LAYER, BertConfig } from './bert.js';
import type { Architecture } from './types.js';

const Config = z.object({
  ...BertConfig.shape,
  position_embedding_type: only('alibi'),
  feed_forward_type: z.enum(['original', 'geglu', 'reglu']).default('original'),
});

const GATED: LayerTensors = {
  ...BERT_LAYER,
  up: 'mlp.gated_layers',
  upBias: false,
  gate: { rows: 'first' },
  down: 'mlp.wo',
  outputNorm: 'mlp.layernorm',
};

/** Heads of pre-training. */
const UNUSED = [/^cls\./];
const POOLER = /(^|\.)pooler\./;

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, num_attention_heads: heads, layer_norm_eps: epsilon } = config;
    const { feed_forward_type: kind } = config;
    headSize(width, heads);
    const whole = new Weights(checkpoint);
    const weights = whole.root('bert');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));

    const e = new EncoderGraph('jina-bert', precision);
    const embeddings = weights.within('embeddings');
    const tables = { vocabulary: config.vocab_size, width, positions: 0, types: config.type_vocab_size };
    const embedded = e.norm(addEmbeddings(e, embeddings, tables), embeddings.norm('LayerNorm', width), epsilon);
    const shape = {
      width,
      heads,
      inner: config.intermediate_size,
      activation: kind === 'reglu' ? 'relu' : config.hidden_act,
      epsilon,
      bias: distances(e, slopes(heads)),
    } as const;
    const layers = weights.list('encoder.layer', config.num_hidden_layers);
    const tensors = kind === 'original' ? BERT_LAYER : GATED;
    const x = postNormLayers(e, embedded, layers, tensors, shape, head === 'texts');
    return finishBert(e, head, x, { whole, trunk: weights, width, classes: classesOf(config) });
  };
}

/** [batch, heads, sequence, sequence]: a negative multiple of the distance, of each head's own; and padding. */
function distances(e: EncoderGraph, each: Float32Array): Value {
  const { g } = e;
  const [rows, columns] = [g.op('Unsqueeze', [e.columns, g.ints([1])]), g.op('Unsqueeze', [e.columns, g.ints([0])])];
  const distance = g.op('Cast', [g.op('Abs', [g.op('Sub', [rows, columns])])], { to: FLOAT32 });
  const fall = g.constant('alibi.slopes', 'float32', [each.length, 1, 1], dataOf(each.map((slope) => -slope)));
  return g.op('Add', [g.op('Mul', [distance, fall]), e.padding]);
}

/**
 * As Press et al. (2022) have them: a geometric sequence, for a number of heads that is a power of two; for others that of the
 * power below, and then every other one of twice as many heads.
 */
function slopes(heads: number): Float32Array {
  const power = 2 ** Math.floor(Math.log2(heads));
  const sequence = (count: number) => Array.from({ length: count }, (_, n) => 2 ** ((-8 * (n + 1)) / count));
  const between = sequence(2 * power).filter((_, n) => n % 2 === 0);
  return Float32Array.from([...sequence(power), ...between.slice(0, heads - power)]);
}

/** By the class that config.json names. */
export const jinaBert: Readonly<Record<string, Architecture>> = {
  JinaBertModel: { task: 'feature-extraction', build: build('none') },
  JinaBertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  JinaBertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  JinaBertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
