/** Llama, and what is built like it: SmolLM, TinyLlama and others that call themselves LlamaForCausalLM. */
import { readDecoderConfig } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';
import type { Architecture } from './types.js';

export const llama: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      const { attention_bias, mlp_bias } = config.fields;
      const { rotary, maxContext } = readRotary(config.fields, config.headDim);
      return buildDecoder(request, config, {
        ...LLAMA,
        name: 'llama',
        maxContext,
        layer: () => ({ window: undefined, rotary }),
        qkvBias: attention_bias ?? false,
        outputBias: attention_bias ?? false,
        mlpBias: mlp_bias ?? false,
      });
    },
  },
};
