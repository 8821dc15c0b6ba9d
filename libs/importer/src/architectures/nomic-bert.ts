/** NomicBERT (Nussbaum et al. 2024): BERT with rotary positions, gated maps and hardly a bias; as published and as transformers has it. */
import { z } from 'zod';
import {
  type Activation,
  activation,
  classesOf,
  common,
  headSize,
  layerCount,
  MAX_CONTEXT,
  only,
  readConfig,
  size,
} from '../config-fields.js';
import type { Head } from '../encoder/heads.js';
import { fused, type LayerTensors, separate } from '../encoder/post-norm.js';
import { frequenciesOf } from '../encoder/rotary.js';
import { buildRotaryBert, TRANSFORMERS_LAYER } from '../encoder/rotary-bert.js';
import { Weights } from '../weights.js';
import type { Architecture } from './types.js';

const theta = z.number().positive();
const epsilon = z.number().positive().default(1e-12);

/** The authors' spelling, which is that of GPT-2. */
const Published = z.object({
  ...common,
  n_embd: size,
  n_layer: layerCount,
  n_head: size,
  n_inner: size,
  n_positions: size.max(MAX_CONTEXT),
  type_vocab_size: z.int().min(0).max(1024).default(2),
  pad_vocab_size_multiple: size.default(1),
  activation_function: z.enum(['swiglu', 'geglu'], 'only swiglu and geglu are supported').default('swiglu'),
  layer_norm_epsilon: epsilon,
  mlp_fc1_bias: z.boolean().default(true),
  mlp_fc2_bias: z.boolean().default(true),
  qkv_proj_bias: z.boolean().default(true),
  rotary_emb_base: theta.default(10_000),
  rotary_emb_fraction: only(1),
  rotary_emb_interleaved: only(false),
  rotary_emb_scale_base: z.null('is not supported').optional(),
  rotary_scaling_factor: z
    .null('is not supported: remove it, and give texts of up to max_trained_positions tokens')
    .optional(),
  causal: only(false),
  prenorm: only(false),
  parallel_block: only(false),
  parallel_block_tied_norm: only(false),
  use_rms_norm: only(false),
  scale_attn_weights: only(true),
  scale_attn_by_inverse_layer_idx: only(false),
  num_experts: only(0, 1),
  moe_every_n_layers: only(0),
});

const Transformers = z.object({
  ...common,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size.max(MAX_CONTEXT),
  type_vocab_size: z.int().min(0).max(1024).default(2),
  hidden_act: activation.default('silu'),
  layer_norm_eps: epsilon,
  head_dim: size.nullish(),
  rope_parameters: z.object({ rope_theta: theta, rope_type: only('default') }).nullish(),
});

interface Config {
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly inner: number;
  readonly length: number;
  readonly types: number;
  readonly activation: Activation;
  readonly epsilon: number;
  readonly base: number;
  readonly bias: { readonly attention: boolean; readonly up: boolean; readonly down: boolean };
  readonly classes: number;
}

function configOf(json: unknown): Config {
  const published = typeof json === 'object' && json !== null && 'n_embd' in json;
  if (!published) {
    const config = readConfig(Transformers, json);
    return {
      vocabulary: config.vocab_size,
      width: config.hidden_size,
      layers: config.num_hidden_layers,
      heads: config.num_attention_heads,
      inner: config.intermediate_size,
      length: config.max_position_embeddings,
      types: config.type_vocab_size,
      activation: config.hidden_act,
      epsilon: config.layer_norm_eps,
      base: config.rope_parameters?.rope_theta ?? 1000,
      bias: { attention: false, up: false, down: false },
      classes: classesOf(config),
    };
  }
  const config = readConfig(Published, json);
  const multiple = config.pad_vocab_size_multiple;
  return {
    vocabulary: Math.ceil(config.vocab_size / multiple) * multiple,
    width: config.n_embd,
    layers: config.n_layer,
    heads: config.n_head,
    inner: config.n_inner,
    length: config.n_positions,
    types: config.type_vocab_size,
    activation: config.activation_function === 'swiglu' ? 'silu' : 'gelu',
    epsilon: config.layer_norm_epsilon,
    base: config.rotary_emb_base,
    bias: { attention: config.qkv_proj_bias, up: config.mlp_fc1_bias, down: config.mlp_fc2_bias },
    classes: classesOf(config),
  };
}

function publishedLayer({ attention, up, down }: Config['bias']): LayerTensors {
  return {
    project: fused('attn.Wqkv', attention),
    out: 'attn.out_proj',
    outBias: attention,
    attentionNorm: 'norm1',
    up: 'mlp.fc11',
    upBias: up,
    gate: { map: 'mlp.fc12' },
    down: 'mlp.fc2',
    downBias: down,
    outputNorm: 'norm2',
  };
}

function transformersLayer({ attention, up, down }: Config['bias']): LayerTensors {
  const project = separate('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', attention);
  return { ...TRANSFORMERS_LAYER, project, outBias: attention, upBias: up, downBias: down };
}

/** Heads of pre-training; angles, which some save. */
const UNUSED = [/^(cls|lm_head)\./, /rotary_emb\.inv_freq$/];
const POOLER = /(^|\.)pooler\./;

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = configOf(json);
    const { vocabulary, width, types, heads, layers, bias } = config;
    const frequencies = frequenciesOf(config.base, headSize(width, heads));
    const whole = new Weights(checkpoint);
    const trunk = whole.root('nomic_bert', 'bert');
    whole.ignore(...UNUSED, ...(head === 'texts' ? [] : [POOLER]));
    const published = trunk.has('emb_ln.weight');
    const family = {
      ...config,
      name: 'nomic-bert',
      whole,
      trunk,
      frequencies,
      embeddings: { vocabulary, width, positions: 0, types },
      embeddingNorm: published ? 'emb_ln' : 'embeddings.LayerNorm',
      layers: trunk.list(published ? 'encoder.layers' : 'layers', layers),
      tensors: published ? publishedLayer(bias) : transformersLayer(bias),
    };
    return buildRotaryBert(family, precision, head);
  };
}

/** By the class that config.json names. */
export const nomicBert: Readonly<Record<string, Architecture>> = {
  NomicBertModel: { task: 'feature-extraction', build: build('none') },
  NomicBertForPreTraining: { task: 'feature-extraction', build: build('none') },
  NomicBertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  NomicBertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  NomicBertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
