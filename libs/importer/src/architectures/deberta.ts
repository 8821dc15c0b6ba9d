/** DeBERTa, DeBERTa v2 and v3 (He et al. 2020, 2021): BERT with disentangled attention, and a convolution in some. */
import { dataOf, type Model, type Value } from '@shoal/onnx';
import { z } from 'zod';
import { activation, classesOf, common, headSize, layerCount, only, readConfig, size } from '../config-fields.js';
import { type Distances, distanceScores, distancesOf } from '../encoder/disentangled.js';
import { addEmbeddings } from '../encoder/embeddings.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { type LayerTensors, type Project, postNormLayers, separate } from '../encoder/post-norm.js';
import { invalid } from '../invalid.js';
import type { Linear } from '../weights.js';
import { Weights } from '../weights.js';
import { BERT_LAYER } from './bert.js';
import type { Architecture } from './types.js';

const kind = z.enum(['c2p', 'p2c'], 'only c2p and p2c are supported');

const Config = z.object({
  ...common,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  /** Above it, one table of all distances would be needed for each of them. */
  max_relative_positions: z.int().max(4096).default(-1),
  position_buckets: z.int().max(4096).default(-1),
  type_vocab_size: z.int().min(0).max(1024).default(0),
  embedding_size: size.nullish(),
  attention_head_size: size.nullish(),
  hidden_act: activation.default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-7),
  relative_attention: z.boolean().default(false),
  /** A list, or as one text with | between. */
  pos_att_type: z
    .preprocess(
      (value) =>
        typeof value === 'string'
          ? value
              .toLowerCase()
              .split('|')
              .map((name) => name.trim())
          : value,
      z.array(kind),
    )
    .nullish(),
  share_att_key: z.boolean().default(false),
  position_biased_input: z.boolean().default(true),
  norm_rel_ebd: z.string().default('none'),
  talking_head: only(false),
  conv_kernel_size: z.int().min(0).max(63).default(0),
  conv_groups: size.default(1),
  conv_act: z.union([activation, z.literal('tanh')]).default('tanh'),
  pooler_hidden_size: size.nullish(),
  pooler_hidden_act: z.union([activation, z.literal('tanh')]).default('gelu'),
});
type Config = z.infer<typeof Config>;

/** What the two generations call things, and where they put biases. */
interface Generation {
  readonly name: string;
  readonly project: (heads: number) => Project;
  /** Maps of the distances' vectors, where each layer has its own. */
  readonly toKeys: string;
  readonly toKeysBias: boolean;
  readonly toQueries: string;
}

const V1: Generation = {
  name: 'deberta',
  project: interleaved,
  toKeys: 'attention.self.pos_proj',
  toKeysBias: false,
  toQueries: 'attention.self.pos_q_proj',
};

const [QUERY, KEY, VALUE] = ['query', 'key', 'value'].map((name) => `attention.self.${name}_proj`) as [
  string,
  string,
  string,
];

const V2: Generation = {
  name: 'deberta-v2',
  project: () => separate(QUERY, KEY, VALUE),
  toKeys: 'attention.self.pos_key_proj',
  toKeysBias: true,
  toQueries: 'attention.self.pos_query_proj',
};

/** One matrix, with the rows of query, key and value of each head one above the other; keys have no bias. */
function interleaved(heads: number): Project {
  return (layer, width) => {
    const size = width / heads;
    const { name, weight } = layer.linear('attention.self.in_proj', width, 3 * width, false);
    const part = (n: number, bias: Float32Array | undefined): Linear => ({
      name: `${name}.${n}`,
      weight: weight.pickRows(width, (row) => (3 * Math.floor(row / size) + n) * size + (row % size)),
      bias,
    });
    const bias = (of: string) => layer.vector(`attention.self.${of}_bias`, width);
    return [part(0, bias('q')), part(1, new Float32Array(width)), part(2, bias('v'))];
  };
}

/** Buffers of old checkpoints, and heads of pre-training. */
const UNUSED = [/(^|\.)embeddings\.position_ids$/, /^(cls|lm_predictions|mask_predictions|lm_head)\./];
/** Of models whose input has none, some checkpoints have them all the same. */
const POSITIONS = /(^|\.)embeddings\.position_embeddings\./;
const POOLER = /^pooler\./;

function build(generation: Generation, head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, num_attention_heads: heads, layer_norm_eps: epsilon } = config;
    check(config);
    const whole = new Weights(checkpoint);
    const weights = whole.root('deberta');
    whole.ignore(
      ...UNUSED,
      ...(head === 'texts' ? [] : [POOLER]),
      ...(config.position_biased_input ? [] : [POSITIONS]),
    );

    const e = new EncoderGraph(generation.name, precision);
    const embedded = embed(e, weights, config);
    const encoder = weights.within('encoder');
    const scale = 1 / Math.sqrt((width / heads) * (1 + kindsOf(config).length));
    const distances = config.relative_attention ? readDistances(e, encoder, config) : undefined;
    const shape = {
      width,
      heads,
      inner: config.intermediate_size,
      activation: config.hidden_act,
      epsilon,
      scale,
      ...(distances && { scores: scoresOf(e, generation, config, distances, scale) }),
      ...(config.conv_kernel_size > 0 && { after: convolution(e, encoder.within('conv'), config, embedded) }),
    };
    const tensors: LayerTensors = { ...BERT_LAYER, project: generation.project(heads) };
    const layers = encoder.list('layer', config.num_hidden_layers);
    const x = postNormLayers(e, embedded, layers, tensors, shape, head === 'texts');
    return head === 'none' ? finish(e, head, x, width) : classifier(e, head, x, whole, config);
  };
}

/** @throws ShoalError `model_invalid` */
function check(config: Config): void {
  const { hidden_size: width, num_attention_heads: heads } = config;
  const size = headSize(width, heads);
  const refuse = (field: string, value: number, only: string) => {
    throw invalid(`config.json: ${field}: ${value} is not supported, only ${only}`);
  };
  const { attention_head_size, pooler_hidden_size, conv_kernel_size: kernel, conv_groups: groups } = config;
  if ((attention_head_size ?? size) !== size) refuse('attention_head_size', attention_head_size!, String(size));
  if ((pooler_hidden_size ?? width) !== width) refuse('pooler_hidden_size', pooler_hidden_size!, String(width));
  if (kernel > 0 && kernel % 2 === 0) refuse('conv_kernel_size', kernel, 'odd ones');
  if (width % groups !== 0) refuse('conv_groups', groups, `what ${width} can be split into`);
}

function kindsOf({ pos_att_type: kinds }: Config): readonly string[] {
  return [...new Set(kinds ?? [])];
}

function embed(e: EncoderGraph, weights: Weights, config: Config): Value {
  const { hidden_size: width, embedding_size, max_position_embeddings: positions } = config;
  const embeddings = weights.within('embeddings');
  const narrow = embedding_size ?? width;
  const summed = addEmbeddings(e, embeddings, {
    vocabulary: config.vocab_size,
    width: narrow,
    positions: config.position_biased_input ? positions : 0,
    types: config.type_vocab_size,
  });
  const projected = narrow === width ? summed : e.linear(summed, embeddings.linear('embed_proj', narrow, width, false));
  return e.norm(projected, embeddings.norm('LayerNorm', width), config.layer_norm_eps);
}

function readDistances(e: EncoderGraph, encoder: Weights, config: Config): Distances {
  const { hidden_size: width, position_buckets: buckets, max_position_embeddings: longest } = config;
  const farthest = config.max_relative_positions < 1 ? longest : config.max_relative_positions;
  const span = buckets > 0 ? buckets : farthest;
  const { data } = encoder.matrix('rel_embeddings.weight', 2 * span, width);
  const table = e.g.constant(encoder.name('rel_embeddings.weight'), 'float32', [2 * span, width], data);
  const normed = /\blayer_norm\b/.test(config.norm_rel_ebd);
  const vectors = normed ? e.norm(table, encoder.norm('LayerNorm', width), config.layer_norm_eps) : table;
  const bucketOf = (distance: number) => (buckets > 0 ? logBucket(distance, buckets, farthest) : distance);
  return distancesOf(e, vectors, { span, bucketOf, longest });
}

/** One bucket for each distance up to half of the buckets, then wider and wider ones up to the farthest distance. */
function logBucket(distance: number, buckets: number, farthest: number): number {
  const middle = Math.floor(buckets / 2);
  const away = Math.abs(distance);
  if (away <= middle) return distance;
  // In float32, as PyTorch computes it: the borders between buckets are where rounding decides.
  const log = (value: number) => Math.fround(Math.log(Math.fround(value)));
  const ratio = Math.fround(log(away / middle) / log((farthest - 1) / middle));
  return Math.sign(distance) * (Math.ceil(Math.fround(ratio * (middle - 1))) + middle);
}

function scoresOf(e: EncoderGraph, generation: Generation, config: Config, distances: Distances, scale: number) {
  const { hidden_size: width, num_attention_heads: heads, share_att_key: shared } = config;
  const kinds = kindsOf(config);
  return (layer: Weights, query: Value, key: Value): Value => {
    const own = (name: string, sharedName: string, bias: boolean) =>
      layer.linear(shared ? sharedName : name, width, width, shared || bias);
    const toKeys = kinds.includes('c2p') ? own(generation.toKeys, KEY, generation.toKeysBias) : undefined;
    const toQueries = kinds.includes('p2c') ? own(generation.toQueries, QUERY, true) : undefined;
    return distanceScores(e, distances, { heads, width, scale, toKeys, toQueries }, query, key);
  };
}

/** Behind the first layer: its hidden states and a convolution of the embeddings, added and normalised. */
function convolution(e: EncoderGraph, weights: Weights, config: Config, embedded: Value) {
  const { hidden_size: width, conv_kernel_size: kernel, conv_groups: groups } = config;
  return (x: Value, n: number): Value => {
    if (n > 0) return x;
    const { g } = e;
    const dims = [width, width / groups, kernel];
    const filter = g.constant(
      weights.name('conv.weight'),
      'float32',
      dims,
      dataOf(weights.tensor('conv.weight', dims)),
    );
    const bias = g.constant(weights.name('conv.bias'), 'float32', [width], dataOf(weights.vector('conv.bias', width)));
    const columns = g.op('Transpose', [e.zeroPadded(embedded, width)], { perm: [0, 2, 1] });
    const half = (kernel - 1) / 2;
    const mixed = g.op('Conv', [columns, filter, bias], { pads: [half, half], group: groups, kernel_shape: [kernel] });
    const rows = e.tokens(g.op('Transpose', [mixed], { perm: [0, 2, 1] }), width);
    return e.addNorm(x, activate(e, rows, config.conv_act), weights.norm('LayerNorm', width), config.layer_norm_eps);
  };
}

function activate(e: EncoderGraph, x: Value, name: Config['conv_act']): Value {
  return name === 'tanh' ? e.g.op('Tanh', [x]) : e.activate(x, name);
}

function classifier(e: EncoderGraph, head: 'texts' | 'tokens', x: Value, weights: Weights, config: Config): Model {
  const { hidden_size: width } = config;
  const classes = classesOf(config);
  const last = weights.linear('classifier', width, classes);
  if (head === 'tokens') return finish(e, head, e.classify(x, last), classes);
  const pooled = activate(e, e.linear(x, weights.linear('pooler.dense', width, width)), config.pooler_hidden_act);
  return finish(e, head, e.classify(pooled, last), classes);
}

/** By the class that config.json names. */
export const deberta: Readonly<Record<string, Architecture>> = Object.fromEntries(
  (
    [
      ['Deberta', V1],
      ['DebertaV2', V2],
    ] as const
  ).flatMap(([family, generation]): [string, Architecture][] => [
    [`${family}Model`, { task: 'feature-extraction', build: build(generation, 'none') }],
    [`${family}ForMaskedLM`, { task: 'feature-extraction', build: build(generation, 'none') }],
    [`${family}ForSequenceClassification`, { task: 'text-classification', build: build(generation, 'texts') }],
    [`${family}ForTokenClassification`, { task: 'token-classification', build: build(generation, 'tokens') }],
  ]),
);
