/**
 * What the config.json of a decoder may say, in the spellings of old and new versions of transformers. Fields that the
 * architecture does not read in transformers are not read here either; those that would change the answers are refused.
 */
import { z } from 'zod';
import type { BuildRequest } from '../architectures/types.js';
import { absent, activation, checkHead, layerCount, MAX_CONTEXT, only, readConfig, size } from '../config-fields.js';
import { invalid } from '../invalid.js';
import { type Rotary, readRotary, rotaryFields } from './rotary-config.js';

const flag = z.boolean().nullish();
const tokenIds = z.union([z.int().min(0), z.array(z.int().min(0))]).nullish();

const Fields = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: activation.default('silu'),
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  sliding_window: size.nullish(),
  use_sliding_window: flag,
  max_window_layers: z.int().min(0).nullish(),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  eos_token_id: tokenIds,
  ...rotaryFields,
  auto_map: absent,
  partial_rotary_factor: only(1),
  rope_interleaved: only(false),
  attn_logit_softcapping: absent,
  final_logit_softcapping: absent,
  add_cross_attention: only(false),
  is_encoder_decoder: only(false),
});

const GenerationFields = z.object({ eos_token_id: tokenIds });

export type DecoderFields = z.output<typeof Fields>;

export interface DecoderConfig {
  /** As they stand, for what differs between architectures. */
  readonly fields: DecoderFields;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly inner: number;
  readonly vocabulary: number;
  /** In tokens. */
  readonly maxContext: number;
  readonly epsilon: number;
  readonly activation: DecoderFields['hidden_act'];
  readonly tied: boolean;
  readonly eosTokenIds: readonly number[];
  readonly rotary: Rotary;
}

/** Kernels read heads in steps of eight numbers. */
const HEAD_MULTIPLE = 8;

/** @throws ShoalError `model_invalid` naming the fields that are missing, inconsistent or not supported */
export function readDecoderConfig({ config, generationConfig = {} }: BuildRequest): DecoderConfig {
  const fields = readConfig(Fields, config);
  const generation = GenerationFields.safeParse(generationConfig);
  if (!generation.success) throw invalid('generation_config.json: eos_token_id must be a token or a list of tokens');
  const { hidden_size: hidden, num_attention_heads: heads, num_hidden_layers: layers } = fields;
  const kvHeads = fields.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) {
    throw invalid(`config.json: num_attention_heads (${heads}) is no multiple of num_key_value_heads (${kvHeads})`);
  }
  if (fields.head_dim == null && hidden % heads !== 0) {
    throw invalid(`config.json: hidden_size (${hidden}) cannot be split into num_attention_heads (${heads})`);
  }
  const headDim = checkHead(fields.head_dim ?? hidden / heads);
  if (headDim % HEAD_MULTIPLE !== 0) {
    throw invalid(`config.json: head_dim is ${headDim}: only multiples of ${HEAD_MULTIPLE} are supported`);
  }
  if (fields.layer_types && fields.layer_types.length !== layers) {
    throw invalid(
      `config.json: layer_types has ${fields.layer_types.length} entries for num_hidden_layers (${layers})`,
    );
  }
  const { rotary, maxContext } = readRotary(fields, headDim);
  if (maxContext > MAX_CONTEXT) {
    throw invalid(
      `config.json: a context of ${maxContext} tokens: at most ${MAX_CONTEXT} are supported (max_position_embeddings)`,
    );
  }
  return {
    fields,
    layers,
    hidden,
    heads,
    kvHeads,
    headDim,
    inner: fields.intermediate_size,
    vocabulary: fields.vocab_size,
    maxContext,
    epsilon: fields.rms_norm_eps,
    activation: fields.hidden_act,
    tied: fields.tie_word_embeddings ?? false,
    eosTokenIds: [generation.data.eos_token_id ?? fields.eos_token_id ?? []].flat(),
    rotary,
  };
}

/** transformers' default of max_window_layers. */
const WINDOW_FROM = 28;

/** Qwen's windows: of the layers that `layer_types` names or, without it, of those from `max_window_layers` on. */
export function windowByType(fields: DecoderFields): (layer: number) => number | undefined {
  const { use_sliding_window: on, sliding_window: size, layer_types: types, max_window_layers: first } = fields;
  const window = on ? (size ?? undefined) : undefined;
  if (window === undefined && (on || types?.includes('sliding_attention'))) {
    throw invalid(
      'config.json: use_sliding_window and layer_types must agree, and sliding_window be given, where layers have windows',
    );
  }
  const isSliding = (layer: number) => (types ? types[layer] === 'sliding_attention' : layer >= (first ?? WINDOW_FROM));
  return (layer) => (isSliding(layer) ? window : undefined);
}
