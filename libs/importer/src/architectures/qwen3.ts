/** Qwen3: Qwen2 with a norm for each head of queries and keys, and without biases unless they are asked for. */
import { type DecoderConfig, readDecoderConfig, windowByType } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA, type Traits } from '../decoder/traits.js';

export const qwen3 = decoderFamily({ name: 'Qwen3' }, (request) => {
  const config = readDecoderConfig(request);
  return { config, traits: traitsOf(config) };
});

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
