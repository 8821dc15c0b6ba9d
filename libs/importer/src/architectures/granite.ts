/** Granite 3: Llama with factors for the embedding, for what layers add, for scores and for logits. */
import { z } from 'zod';
import { readFamilyConfig } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

const factor = z.number().positive().default(1);

const Own = z.object({
  embedding_multiplier: factor,
  residual_multiplier: factor,
  attention_multiplier: factor,
  logits_scaling: factor,
});

export const granite = decoderFamily({ name: 'Granite' }, (request) => {
  const { config, own } = readFamilyConfig(request, { own: Own });
  const { rotary, maxContext } = readRotary(config.fields, config.headDim);
  const { attention_bias, mlp_bias } = config.fields;
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'granite',
      maxContext,
      layer: () => ({ window: undefined, rotary }),
      qkvBias: attention_bias ?? false,
      outputBias: attention_bias ?? false,
      mlpBias: mlp_bias ?? false,
      attentionScale: own.attention_multiplier,
      embeddingScale: own.embedding_multiplier,
      residualScale: own.residual_multiplier,
      logitDivisor: own.logits_scaling,
    },
  };
});
