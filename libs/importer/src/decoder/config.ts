/**
 * What the config.json of a decoder may say, in the spellings of old and new versions of transformers. Fields that the
 * architecture does not read in transformers are not read here either; those that would change the answers are refused.
 */
import { z } from 'zod';
import type { BuildRequest } from '../architectures/types.js';
import { absent, activation, checkHead, layerCount, only, readConfig, size } from '../config-fields.js';
import { invalid } from '../invalid.js';
import { rotaryFields } from './rotary-config.js';

const flag = z.boolean().nullish();
export const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

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
  layer_types: z.array(z.enum(LAYER_TYPES)).nullish(),
  eos_token_id: tokenIds,
  ...rotaryFields,
  auto_map: absent,
  rope_interleaved: only(false),
  attn_logit_softcapping: absent,
  final_logit_softcapping: absent,
  query_pre_attn_scalar: absent,
  embedding_multiplier: only(1),
  residual_multiplier: only(1),
  attention_multiplier: absent,
  logits_scaling: only(1),
  no_rope_layers: absent,
  clip_qkv: absent,
  use_bidirectional_attention: only(false),
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
  readonly epsilon: number;
  readonly activation: DecoderFields['hidden_act'];
  readonly tied: boolean;
  readonly eosTokenIds: readonly number[];
}

/** What an architecture reads of config.json beside the fields that all have. */
export interface FamilyFields<Own extends z.ZodObject> {
  /** They are this architecture's business alone: where they are among those that all have, they are not judged there. */
  readonly own: Own;
  /** transformers' values of fields that config.json leaves out, where they are not those of `Fields`. */
  readonly defaults?: Readonly<Record<string, unknown>>;
}

/** @throws ShoalError `model_invalid` naming the fields that are missing, inconsistent or not supported */
export function readFamilyConfig<Own extends z.ZodObject>(
  request: BuildRequest,
  { own, defaults = {} }: FamilyFields<Own>,
): { config: DecoderConfig; own: z.output<Own> } {
  const json = withDefaults(request.config, defaults);
  const found = readConfig(own, json);
  const common = Object.entries(json).filter(([name]) => !Object.hasOwn(own.shape, name));
  return { config: readDecoderConfig({ ...request, config: Object.fromEntries(common) }), own: found };
}

function withDefaults(config: unknown, defaults: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { ...defaults, ...readConfig(z.record(z.string(), z.unknown()), config) };
}

/**
 * `defaults` are transformers' values of fields that config.json leaves out, where they are not those of `Fields`.
 *
 * @throws ShoalError `model_invalid` naming the fields that are missing, inconsistent or not supported
 */
export function readDecoderConfig(
  { config, generationConfig = {} }: BuildRequest,
  defaults: Readonly<Record<string, unknown>> = {},
): DecoderConfig {
  const fields = readConfig(Fields, withDefaults(config, defaults));
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
  if (headDim % 2 !== 0) {
    throw invalid(`config.json: head_dim is ${headDim}: rotary embedding turns pairs, so it must be even`);
  }
  if (fields.layer_types && fields.layer_types.length !== layers) {
    throw invalid(
      `config.json: layer_types has ${fields.layer_types.length} entries for num_hidden_layers (${layers})`,
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
    epsilon: fields.rms_norm_eps,
    activation: fields.hidden_act,
    tied: fields.tie_word_embeddings ?? false,
    eosTokenIds: [generation.data.eos_token_id ?? fields.eos_token_id ?? []].flat(),
  };
}

/** transformers' default of max_window_layers. */
const WINDOW_FROM = 28;

/** Windows of the layers that `types` calls sliding. @throws ShoalError `model_invalid` where `sliding_window` is missing */
export function windowOf(
  types: readonly LayerType[],
  window: number | null | undefined,
): (n: number) => number | undefined {
  if (window == null && types.includes('sliding_attention')) {
    throw invalid('config.json: sliding_window is missing, which the sliding layers of layer_types need');
  }
  return (n) => (types[n] === 'sliding_attention' ? (window ?? undefined) : undefined);
}

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
