/** GTE v1.5 and multilingual (Zhang et al. 2024), published as NewModel: BERT with rotary positions and gated maps. */
import { z } from 'zod';
import { classesOf, headSize, MAX_CONTEXT, only, readConfig, size } from '../config-fields.js';
import type { Head } from '../encoder/heads.js';
import { fused, type LayerTensors, separate } from '../encoder/post-norm.js';
import { frequenciesOf } from '../encoder/rotary.js';
import { buildRotaryBert, TRANSFORMERS_LAYER } from '../encoder/rotary-bert.js';
import { Weights } from '../weights.js';
import { BertConfig } from './bert.js';
import type { Architecture } from './types.js';

const theta = z.number().positive();

const Config = z.object({
  ...BertConfig.shape,
  max_position_embeddings: size.max(MAX_CONTEXT),
  type_vocab_size: z.int().min(0).max(1024).default(1),
  position_embedding_type: only('rope'),
  layer_norm_type: only('layer_norm'),
  logn_attention_scale: only(false),
  logn_attention_clip1: only(false),
  rope_theta: theta.nullish(),
  /** As published: the base is multiplied by it, and all angles fall a little. */
  rope_scaling: z
    .strictObject({ type: z.literal('ntk', 'only "ntk" is supported'), factor: z.number().min(1) })
    .nullish(),
  /** As transformers 5 has it. */
  rope_parameters: z.object({ rope_theta: theta, rope_type: only('default') }).nullish(),
});
type Config = z.infer<typeof Config>;

const PUBLISHED: Omit<LayerTensors, 'project'> = {
  out: 'attention.o_proj',
  attentionNorm: 'attn_ln',
  up: 'mlp.up_gate_proj',
  upBias: false,
  gate: { rows: 'last' },
  down: 'mlp.down_proj',
  outputNorm: 'mlp_ln',
};

/** Heads of pre-training; angles, which some save. */
const UNUSED = [/^(cls|lm_head)\./, /rotary_emb\.inv_freq$/];
const POOLER = /(^|\.)pooler\./;

/** Frequencies of NTK scaling as NewModel has it (and vLLM's NTKScalingRotaryEmbedding, without its mixed form). */
function rotaryOf({ rope_theta, rope_scaling, rope_parameters }: Config, headWidth: number): Float64Array {
  const base = rope_parameters?.rope_theta ?? rope_theta ?? 10_000;
  const factor = rope_scaling?.factor ?? 1;
  return frequenciesOf(base * factor, headWidth).map((frequency) => frequency / factor ** (2 / headWidth));
}

/** Names as published, with the three maps of attention in one or not, or as transformers has them. */
function layerOf(layer: Weights): LayerTensors {
  if (layer.has('self_attn.q_proj.weight')) {
    return { ...TRANSFORMERS_LAYER, project: separate('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj') };
  }
  const packed = layer.has('attention.qkv_proj.weight');
  const apart = () => separate('attention.q_proj', 'attention.k_proj', 'attention.v_proj');
  return { ...PUBLISHED, project: packed ? fused('attention.qkv_proj') : apart() };
}

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, num_attention_heads: heads } = config;
    const frequencies = rotaryOf(config, headSize(width, heads));
    const whole = new Weights(checkpoint);
    const trunk = whole.root('new', 'gte');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));
    const published = trunk.has('encoder.layer.0.attn_ln.weight');
    const layers = trunk.list(published ? 'encoder.layer' : 'layers', config.num_hidden_layers);
    const family = {
      name: 'gte',
      whole,
      trunk,
      frequencies,
      heads,
      layers,
      embeddings: { vocabulary: config.vocab_size, width, positions: 0, types: config.type_vocab_size },
      embeddingNorm: 'embeddings.LayerNorm',
      tensors: layerOf(layers[0]!),
      inner: config.intermediate_size,
      activation: config.hidden_act,
      epsilon: config.layer_norm_eps,
      length: config.max_position_embeddings,
      classes: classesOf(config),
    };
    return buildRotaryBert(family, precision, head);
  };
}

/** By the class that config.json names. */
export const gte: Readonly<Record<string, Architecture>> = Object.fromEntries(
  ['New', 'Gte'].flatMap((family): [string, Architecture][] => [
    [`${family}Model`, { task: 'feature-extraction', build: build('none') }],
    [`${family}ForMaskedLM`, { task: 'feature-extraction', build: build('none') }],
    [`${family}ForSequenceClassification`, { task: 'text-classification', build: build('texts') }],
    [`${family}ForTokenClassification`, { task: 'token-classification', build: build('tokens') }],
  ]),
);
