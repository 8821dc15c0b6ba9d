/** How positions turn into angles, read from config.json: `rope_parameters` (new) or `rope_theta` and `rope_scaling` (old). */
import { z } from 'zod';
import { size } from '../config-fields.js';
import { invalid } from '../invalid.js';

export interface Rotary {
  /** Radians per position, for each of the headDim / 2 pairs of numbers. */
  readonly frequencies: Float32Array;
  /** Cosines and sines are multiplied by it: YaRN sharpens attention as it stretches positions. */
  readonly scale: number;
  /** Where frequencies fall as the text gets longer than `from` tokens (dynamic NTK). */
  readonly dynamic?: { readonly from: number; readonly factor: number };
}

const ratio = z.number().positive();

/** Strict, since parameters by layer type, or of a kind that is not known, would otherwise read as none. */
const Parameters = z.strictObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: ratio.nullish(),
  factor: ratio.nullish(),
  original_max_position_embeddings: size.nullish(),
  attention_factor: ratio.nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  beta_fast: z.number().nullish(),
  beta_slow: z.number().nullish(),
  truncate: z.boolean().nullish(),
  low_freq_factor: ratio.nullish(),
  high_freq_factor: ratio.nullish(),
  partial_rotary_factor: z.literal(1, { error: 'only 1 is supported' }).nullish(),
});
type Parameters = z.output<typeof Parameters>;

export const rotaryFields = {
  rope_theta: ratio.nullish(),
  rope_scaling: Parameters.nullish(),
  rope_parameters: Parameters.nullish(),
  original_max_position_embeddings: size.nullish(),
};

interface Fields {
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: Parameters | null | undefined;
  readonly rope_parameters?: Parameters | null | undefined;
  readonly original_max_position_embeddings?: number | null | undefined;
  readonly max_position_embeddings: number;
}

/** transformers' default. */
const THETA = 10_000;

/**
 * The frequencies that transformers computes, and the longest text that they are meant for.
 *
 * @throws ShoalError `model_invalid` naming the field that is missing or not supported
 */
export function readRotary(fields: Fields, headDim: number): { rotary: Rotary; maxContext: number } {
  const where = fields.rope_parameters ? 'rope_parameters' : 'rope_scaling';
  const parameters: Parameters = fields[where] ?? {};
  const type = parameters.rope_type ?? parameters.type ?? 'default';
  const theta = parameters.rope_theta ?? fields.rope_theta ?? THETA;
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const context = fields.max_position_embeddings;
  const original = fields.original_max_position_embeddings ?? parameters.original_max_position_embeddings ?? context;
  const needed = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number => {
    const value = parameters[name];
    if (value == null) throw invalid(`config.json: ${where}.${name} is missing, which rope_type ${type} needs`);
    return value;
  };
  const of = (frequencies: Float64Array, scale = 1): Rotary => ({
    frequencies: Float32Array.from(frequencies),
    scale,
  });
  switch (type) {
    case 'default':
      return { rotary: of(plain), maxContext: context };
    case 'linear': {
      const factor = needed('factor');
      return { rotary: of(plain.map((frequency) => frequency / factor)), maxContext: context };
    }
    case 'dynamic': {
      const factor = needed('factor');
      const rotary = { ...of(plain), dynamic: { from: context, factor } };
      return { rotary, maxContext: Math.max(context, Math.floor(context * factor)) };
    }
    case 'yarn': {
      const factor = parameters.factor ?? context / original;
      const frequencies = yarn(plain, theta, original, factor, parameters);
      const maxContext = Math.max(context, Math.floor(original * factor));
      return { rotary: of(frequencies, attentionFactor(factor, parameters)), maxContext };
    }
    case 'llama3': {
      const [factor, low, high] = [needed('factor'), needed('low_freq_factor'), needed('high_freq_factor')];
      if (low >= high) throw invalid(`config.json: ${where}.low_freq_factor must be less than high_freq_factor`);
      return {
        rotary: of(plain.map((frequency) => llama3(frequency, original, factor, low, high))),
        maxContext: context,
      };
    }
    default:
      throw invalid(
        `config.json: ${where}.rope_type ${JSON.stringify(type)} is not supported; supported are default, linear, dynamic, yarn and llama3`,
      );
  }
}

/** Long waves are stretched by `factor`, short ones kept, those between blended (arxiv.org/abs/2309.00071, section 3.2). */
function yarn(
  plain: Float64Array,
  theta: number,
  original: number,
  factor: number,
  { beta_fast, beta_slow, truncate }: Parameters,
): Float64Array {
  const dim = 2 * plain.length;
  // The pair of numbers whose wave turns `rotations` times in the original context.
  const pairOf = (rotations: number) => (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairOf(beta_fast || 32), pairOf(beta_slow || 1)];
  const low = Math.max(truncate === false ? first : Math.floor(first), 0);
  const high = Math.min(truncate === false ? last : Math.ceil(last), dim - 1);
  return plain.map((frequency, i) => {
    const stretched = clamp((i - low) / (low === high ? 0.001 : high - low));
    return (frequency / factor) * stretched + frequency * (1 - stretched);
  });
}

function attentionFactor(factor: number, { attention_factor, mscale, mscale_all_dim }: Parameters): number {
  const of = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return attention_factor ?? (mscale && mscale_all_dim ? of(mscale) / of(mscale_all_dim) : of(1));
}

/** As Llama 3.1 does it: waves longer than original / low are stretched, those shorter than original / high kept. */
function llama3(frequency: number, original: number, factor: number, low: number, high: number): number {
  const rotations = (original * frequency) / (2 * Math.PI);
  const kept = clamp((rotations - low) / (high - low));
  return (frequency / factor) * (1 - kept) + frequency * kept;
}

function clamp(x: number): number {
  return Math.min(Math.max(x, 0), 1);
}
