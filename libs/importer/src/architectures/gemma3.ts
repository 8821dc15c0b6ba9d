/** Gemma 3 (arxiv.org/abs/2503.19786): five windowed layers to one that sees all, each kind with rotary frequencies of its own. */
import { z } from 'zod';
import { activation, readConfig, size } from '../config-fields.js';
import { type DecoderConfig, type LayerType, readFamilyConfig, windowOf } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { RotaryParameters, readRotary } from '../decoder/rotary-config.js';
import { LLAMA, type Traits } from '../decoder/traits.js';
import { GEMMA } from './gemma2.js';
import type { Architecture } from './types.js';

const theta = z.number().positive();
const cap = z.number().positive().nullish();

const Own = z.object({
  /** transformers reads `hidden_activation` alone. */
  hidden_act: z.unknown().optional(),
  hidden_activation: activation.nullish().transform((name) => name ?? 'gelu_pytorch_tanh'),
  query_pre_attn_scalar: z.number().positive(),
  attn_logit_softcapping: cap,
  final_logit_softcapping: cap,
  use_bidirectional_attention: z.boolean().nullish(),
  sliding_window_pattern: size.nullish(),
  _sliding_window_pattern: size.nullish(),
  rope_parameters: z
    .strictObject({ full_attention: RotaryParameters.nullish(), sliding_attention: RotaryParameters.nullish() })
    .nullish(),
  /** Before `rope_parameters`: of the layers that see all, as is `rope_scaling`, and of the windowed ones. */
  rope_theta: theta,
  rope_local_base_freq: theta,
  rope_scaling: RotaryParameters.nullish(),
});

/** transformers' own: the config.json of the larger ones leaves most of them out. */
const DEFAULTS = {
  vocab_size: 262_208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  max_position_embeddings: 131_072,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  rope_theta: 1e6,
  rope_local_base_freq: 1e4,
  tie_word_embeddings: true,
};

const EVERY = 6;

/** The part of a model for texts and images that reads and writes texts. */
const WithImages = z.object({
  text_config: z.record(z.string(), z.unknown()),
  eos_token_id: z.unknown().optional(),
  tie_word_embeddings: z.unknown().optional(),
  quantization_config: z.unknown().optional(),
});

const textFamily = decoderFamily(
  { name: 'Gemma3', trunk: 'Gemma3TextModel', classifier: 'Gemma3TextForSequenceClassification' },
  (request) => {
    const { config, own } = readFamilyConfig(request, { own: Own, defaults: DEFAULTS });
    return { config: { ...config, activation: own.hidden_activation }, traits: traitsOf(config, own) };
  },
);

export const gemma3: Readonly<Record<string, Architecture>> = {
  ...textFamily,
  Gemma3ForConditionalGeneration: {
    task: 'text-generation',
    note: 'the part for texts alone is taken: images cannot be given to it',
    build(request) {
      const { text_config: text, ...outer } = readConfig(WithImages, request.config);
      const given = Object.fromEntries(Object.entries(outer).filter(([, value]) => value !== undefined));
      return textFamily.Gemma3ForCausalLM!.build({ ...request, config: { ...text, ...given } });
    },
  },
};

function traitsOf({ fields, layers, headDim, hidden }: DecoderConfig, own: z.output<typeof Own>): Traits {
  const rotaryOf = (type: LayerType) =>
    readRotary(
      {
        ...fields,
        rope_parameters: own.rope_parameters?.[type],
        rope_scaling: type === 'full_attention' ? own.rope_scaling : undefined,
        rope_theta: type === 'full_attention' ? own.rope_theta : own.rope_local_base_freq,
      },
      headDim,
    );
  const [all, near] = [rotaryOf('full_attention'), rotaryOf('sliding_attention')];
  const every = own.sliding_window_pattern ?? own._sliding_window_pattern ?? EVERY;
  const types =
    fields.layer_types ??
    Array.from(
      { length: layers },
      (_, n): LayerType => ((n + 1) % every === 0 ? 'full_attention' : 'sliding_attention'),
    );
  const window = windowOf(types, fields.sliding_window);
  const bias = fields.attention_bias ?? false;
  return {
    ...LLAMA,
    ...GEMMA,
    name: 'gemma3',
    maxContext: all.maxContext,
    layer: (n) => ({ window: window(n), rotary: (types[n] === 'full_attention' ? all : near).rotary }),
    queryKeyNorms: 'heads',
    bidirectional: own.use_bidirectional_attention ?? false,
    qkvBias: bias,
    outputBias: bias,
    attentionScale: own.query_pre_attn_scalar ** -0.5,
    attentionCap: own.attn_logit_softcapping ?? undefined,
    logitCap: own.final_logit_softcapping ?? undefined,
    embeddingScale: Math.sqrt(hidden),
  };
}
