/** Qwen3: Qwen2 with a norm for each head of queries and keys, and without biases unless they are asked for. */
import { readDecoderConfig, windowByType } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import type { Architecture } from './types.js';

export const qwen3: Readonly<Record<string, Architecture>> = {
  Qwen3ForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      const bias = config.fields.attention_bias ?? false;
      return buildDecoder(request, config, {
        name: 'qwen3',
        qkvBias: bias,
        outputBias: bias,
        mlpBias: false,
        headNorms: true,
        windowOf: windowByType(config.fields),
      });
    },
  },
};
