/** Llama, and what is built like it: SmolLM, TinyLlama and others that call themselves LlamaForCausalLM. */
import { readDecoderConfig } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

export const llama = decoderFamily({ name: 'Llama' }, (request) => {
  const config = readDecoderConfig(request);
  const { attention_bias, mlp_bias } = config.fields;
  const { rotary, maxContext } = readRotary(config.fields, config.headDim);
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'llama',
      maxContext,
      layer: () => ({ window: undefined, rotary }),
      qkvBias: attention_bias ?? false,
      outputBias: attention_bias ?? false,
      mlpBias: mlp_bias ?? false,
    },
  };
});
