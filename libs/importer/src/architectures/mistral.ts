/** Mistral: Llama without biases, whose layers may all see no more than a window of tokens. */
import { readDecoderConfig } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import type { Architecture } from './types.js';

/** transformers' default; null is no window. */
const WINDOW = 4096;

export const mistral: Readonly<Record<string, Architecture>> = {
  MistralForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      const { sliding_window: window = WINDOW } = config.fields;
      return buildDecoder(request, config, {
        name: 'mistral',
        qkvBias: false,
        outputBias: false,
        mlpBias: false,
        headNorms: false,
        windowOf: () => window ?? undefined,
      });
    },
  },
};
