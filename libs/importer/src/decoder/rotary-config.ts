/** How positions turn into angles, read from config.json: `rope_parameters` (new) or `rope_theta` and `rope_scaling` (old). */
import { z } from 'zod';
import { MAX_CONTEXT, size } from '../config-fields.js';
import { invalid } from '../invalid.js';

export interface Rotary {
  /** Radians per position of each pair of numbers that is turned; a head's numbers behind those stay as they are. */
  readonly frequencies: Float32Array;
  /** What stands for them in texts of more than `beyond` tokens, from the first token on (longrope). */
  readonly long?: { readonly beyond: number; readonly frequencies: Float32Array };
  /** Cosines and sines are multiplied by it: YaRN sharpens attention as it stretches positions. */
  readonly scale: number;
  /** Where frequencies fall as the text gets longer than `from` tokens (dynamic NTK). */
  readonly dynamic?: { readonly from: number; readonly factor: number };
}

const ratio = z.number().positive();

const part = z.number().positive().max(1);

/** Strict, since parameters by layer type, or of a kind that is not known, would otherwise read as none. */
export const RotaryParameters = z.strictObject({
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
  partial_rotary_factor: part.nullish(),
  short_factor: z.array(ratio).nullish(),
  long_factor: z.array(ratio).nullish(),
});
export type RotaryParameters = z.output<typeof RotaryParameters>;

export const rotaryFields = {
  rope_theta: ratio.nullish(),
  rope_scaling: RotaryParameters.nullish(),
  rope_parameters: RotaryParameters.nullish(),
  partial_rotary_factor: part.nullish(),
  original_max_position_embeddings: size.nullish(),
};

export interface RotaryFields {
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: RotaryParameters | null | undefined;
  readonly rope_parameters?: RotaryParameters | null | undefined;
  readonly partial_rotary_factor?: number | null | undefined;
  readonly original_max_position_embeddings?: number | null | undefined;
  readonly max_position_embeddings: number;
}

/** What an architecture knows of rotary embedding. */
export interface RotarySupport {
  /** Of `rope_theta`, where config.json has none. Default 10,000. */
  readonly theta?: number;
  /** Whether only a part of each head may be turned. */
  readonly partial?: boolean;
  /** Whether it computes a text anew where longrope's factors change. */
  readonly longrope?: boolean;
}

/**
 * The frequencies that transformers computes, and the longest text that they are meant for.
 *
 * @throws ShoalError `model_invalid` naming the field that is missing or not supported
 */
export function readRotary(
  fields: RotaryFields,
  headDim: number,
  support: RotarySupport = {},
): { rotary: Rotary; maxContext: number } {
  const read = rotaryOf(fields, headDim, support);
  if (read.maxContext <= MAX_CONTEXT) return read;
  throw invalid(
    `config.json: a context of ${read.maxContext} tokens: at most ${MAX_CONTEXT} are supported (max_position_embeddings)`,
  );
}

function rotaryOf(
  fields: RotaryFields,
  headDim: number,
  { theta: usual = 10_000, partial = false, longrope = false }: RotarySupport,
): { rotary: Rotary; maxContext: number } {
  const where = fields.rope_parameters ? 'rope_parameters' : 'rope_scaling';
  const parameters: RotaryParameters = fields[where] ?? {};
  const type = parameters.rope_type ?? parameters.type ?? 'default';
  const theta = parameters.rope_theta ?? fields.rope_theta ?? usual;
  const rotated = rotatedOf(parameters.partial_rotary_factor ?? fields.partial_rotary_factor ?? 1, headDim, partial);
  const plain = Float64Array.from({ length: rotated / 2 }, (_, i) => theta ** ((-2 * i) / rotated));
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
    case 'longrope':
      if (!longrope) break;
      return { rotary: longRotary(plain, where, parameters, context, original), maxContext: context };
  }
  throw invalid(
    `config.json: ${where}.rope_type ${JSON.stringify(type.slice(0, 60))} is not supported; supported are default, linear, dynamic, yarn and llama3` +
      (longrope ? ', longrope' : ''),
  );
}

/** How many numbers of a head are turned. */
function rotatedOf(factor: number, headDim: number, partial: boolean): number {
  if (factor !== 1 && !partial) {
    throw invalid(
      `config.json: partial_rotary_factor is ${factor}: this architecture turns whole heads, so only 1 is supported`,
    );
  }
  const rotated = Math.floor(headDim * factor);
  if (rotated >= 2 && rotated % 2 === 0) return rotated;
  throw invalid(
    `config.json: ${rotated} of ${headDim} numbers of a head would be turned (partial_rotary_factor): an even number must be`,
  );
}

/** Each frequency has a factor of its own, in long texts another one than in short ones (arxiv.org/abs/2402.13753). */
function longRotary(
  plain: Float64Array,
  where: string,
  { short_factor, long_factor, attention_factor, factor }: RotaryParameters,
  context: number,
  original: number,
): Rotary {
  const by = (name: string, factors: readonly number[] | null | undefined) => {
    if (factors?.length === plain.length) return Float32Array.from(plain, (frequency, i) => frequency / factors[i]!);
    throw invalid(
      `config.json: ${where}.${name} must be a list of ${plain.length} numbers, one for each pair that is turned`,
    );
  };
  const stretched = factor ?? context / original;
  const scale = attention_factor ?? (stretched <= 1 ? 1 : Math.sqrt(1 + Math.log(stretched) / Math.log(original)));
  if (!Number.isFinite(scale)) {
    throw invalid(
      `config.json: original_max_position_embeddings is ${original}, from which no ${where}.attention_factor follows`,
    );
  }
  return {
    frequencies: by('short_factor', short_factor),
    long: { beyond: original, frequencies: by('long_factor', long_factor) },
    scale,
  };
}

/** Long waves are stretched by `factor`, short ones kept, those between blended (arxiv.org/abs/2309.00071, section 3.2). */
function yarn(
  plain: Float64Array,
  theta: number,
  original: number,
  factor: number,
  { beta_fast, beta_slow, truncate }: RotaryParameters,
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

function attentionFactor(factor: number, { attention_factor, mscale, mscale_all_dim }: RotaryParameters): number {
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
