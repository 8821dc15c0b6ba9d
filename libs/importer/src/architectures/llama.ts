/** Llama, and what is built like it: SmolLM, TinyLlama and others that call themselves LlamaForCausalLM. */
import { readDecoderConfig } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import type { Architecture } from './types.js';

export const llama: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      const { attention_bias, mlp_bias } = config.fields;
      return buildDecoder(request, config, {
        name: 'llama',
        qkvBias: attention_bias ?? false,
        outputBias: attention_bias ?? false,
        mlpBias: mlp_bias ?? false,
        headNorms: false,
        windowOf: () => undefined,
      });
    },
  },
};
