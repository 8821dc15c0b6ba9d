/** Qwen3: Qwen2 with a norm for each head of queries and keys, and without biases unless they are asked for. */
import { type DecoderConfig, readDecoderConfig, windowByType } from '../decoder/config.js';
import { buildDecoder } from '../decoder/graph.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA, type Traits } from '../decoder/traits.js';
import type { Architecture } from './types.js';

export const qwen3: Readonly<Record<string, Architecture>> = {
  Qwen3ForCausalLM: {
    task: 'text-generation',
    build(request) {
      const config = readDecoderConfig(request);
      return buildDecoder(request, config, traitsOf(config));
    },
  },
};

function traitsOf({ fields, headDim }: DecoderConfig): Traits {
  const { rotary, maxContext } = readRotary(fields, headDim);
  const window = windowByType(fields);
  const bias = fields.attention_bias ?? false;
  return {
    ...LLAMA,
    name: 'qwen3',
    maxContext,
    layer: (n) => ({ window: window(n), rotary }),
    qkvBias: bias,
    outputBias: bias,
    queryKeyNorms: 'heads',
  };
}
