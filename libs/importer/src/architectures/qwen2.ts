/** Qwen2 and Qwen2.5: Llama with biases for queries, keys and values; the upper layers may see a window of tokens. */
import { readDecoderConfig, windowByType } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import type { Architecture } from './types.js';

export const qwen2: Readonly<Record<string, Architecture>> = {
  Qwen2ForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      return buildDecoder(request, config, {
        name: 'qwen2',
        qkvBias: true,
        outputBias: false,
        mlpBias: false,
        headNorms: false,
        windowOf: windowByType(config.fields),
      });
    },
  },
};
