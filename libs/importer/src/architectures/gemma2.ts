/** Gemma 2 (arxiv.org/abs/2408.00118): bounded scores and logits, norms before and behind both parts, every other layer windowed. */
import { z } from 'zod';
import { activation } from '../config-fields.js';
import { LAYER_TYPES, readFamilyConfig, windowOf } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

const cap = z.number().positive().nullable();

const Own = z.object({
  /** transformers reads `hidden_activation` alone. */
  hidden_act: z.unknown().optional(),
  hidden_activation: activation.nullish().transform((name) => name ?? 'gelu_pytorch_tanh'),
  query_pre_attn_scalar: z.number().positive(),
  attn_logit_softcapping: cap,
  final_logit_softcapping: cap,
});

const DEFAULTS = {
  num_key_value_heads: 4,
  head_dim: 256,
  tie_word_embeddings: true,
  sliding_window: 4096,
  query_pre_attn_scalar: 256,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};

export const gemma2 = decoderFamily({ name: 'Gemma2' }, (request) => {
  const { config, own } = readFamilyConfig(request, { own: Own, defaults: DEFAULTS });
  const { fields, headDim, hidden, layers } = config;
  const { rotary, maxContext } = readRotary(fields, headDim);
  const types = fields.layer_types ?? Array.from({ length: layers }, (_, n) => LAYER_TYPES[n % 2 === 0 ? 1 : 0]);
  const window = windowOf(types, fields.sliding_window);
  const bias = fields.attention_bias ?? false;
  return {
    config: { ...config, activation: own.hidden_activation },
    traits: {
      ...LLAMA,
      ...GEMMA,
      name: 'gemma2',
      maxContext,
      layer: (n) => ({ window: window(n), rotary }),
      qkvBias: bias,
      outputBias: bias,
      attentionScale: own.query_pre_attn_scalar ** -0.5,
      attentionCap: own.attn_logit_softcapping ?? undefined,
      logitCap: own.final_logit_softcapping ?? undefined,
      embeddingScale: Math.sqrt(hidden),
    },
  };
});

/** What all of the family have. */
export const GEMMA = {
  norms: {
    beforeAttention: 'input_layernorm',
    afterAttention: 'post_attention_layernorm',
    beforeFeedForward: 'pre_feedforward_layernorm',
    afterFeedForward: 'post_feedforward_layernorm',
  },
  gainOffset: 1,
} as const;
