/** Qwen2 and Qwen2.5: Llama with biases for queries, keys and values; the upper layers may see a window of tokens. */
import { readDecoderConfig, windowByType } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

export const qwen2 = decoderFamily({ name: 'Qwen2' }, (request) => {
  const config = readDecoderConfig(request);
  const { rotary, maxContext } = readRotary(config.fields, config.headDim);
  const window = windowByType(config.fields);
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'qwen2',
      maxContext,
      layer: (n) => ({ window: window(n), rotary }),
      qkvBias: true,
    },
  };
});
