/** OLMo 2 (arxiv.org/abs/2501.00656): norms stand behind both parts of a layer, and over all heads of queries and of keys. */
import { readDecoderConfig } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

export const olmo2 = decoderFamily({ name: 'Olmo2' }, (request) => {
  const config = readDecoderConfig(request, { rms_norm_eps: 1e-5 });
  const { rotary, maxContext } = readRotary(config.fields, config.headDim);
  const bias = config.fields.attention_bias ?? false;
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'olmo2',
      maxContext,
      layer: () => ({ window: undefined, rotary }),
      norms: { afterAttention: 'post_attention_layernorm', afterFeedForward: 'post_feedforward_layernorm' },
      queryKeyNorms: 'tokens',
      qkvBias: bias,
      outputBias: bias,
    },
  };
});
