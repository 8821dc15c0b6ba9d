/** Mistral: Llama without biases, whose layers may all see no more than a window of tokens. */
import { readDecoderConfig } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

/** transformers' default; null is no window. */
const WINDOW = 4096;

export const mistral = decoderFamily({ name: 'Mistral' }, (request) => {
  const config = readDecoderConfig(request);
  const { sliding_window: window = WINDOW } = config.fields;
  const { rotary, maxContext } = readRotary(config.fields, config.headDim);
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'mistral',
      maxContext,
      layer: () => ({ window: window ?? undefined, rotary }),
    },
  };
});
