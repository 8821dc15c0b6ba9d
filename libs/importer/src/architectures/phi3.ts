/** Phi-3, Phi-3.5 and Phi-4 (also mini): Llama with packed projections; a part of each head may be turned, by longrope too. */
import { z } from 'zod';
import { readFamilyConfig } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { type RotaryParameters, readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';

const Own = z.object({
  /** It leads to what is transformers' own class of this name since. */
  auto_map: z.unknown().optional(),
});

export const phi3 = decoderFamily({ name: 'Phi3' }, (request) => {
  const { config } = readFamilyConfig(request, { own: Own, defaults: { rms_norm_eps: 1e-5 } });
  const { fields, headDim } = config;
  const { rope_scaling, rope_parameters, sliding_window: window } = fields;
  const rotaryFields = {
    ...fields,
    rope_scaling: renamed(rope_scaling),
    rope_parameters: renamed(rope_parameters),
  };
  const { rotary, maxContext } = readRotary(rotaryFields, headDim, { partial: true, longrope: true });
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'phi3',
      maxContext,
      layer: () => ({ window: window ?? undefined, rotary }),
      packed: true,
    },
  };
});

/** longrope was called su, and yarn, at first. */
function renamed(parameters: RotaryParameters | null | undefined): RotaryParameters | null | undefined {
  const type = parameters?.rope_type ?? parameters?.type;
  return type === 'su' || type === 'yarn' ? { ...parameters, rope_type: 'longrope' } : parameters;
}
