/**
 * What a GGUF file says of a model's shape, as the config.json of Hugging Face's class. Keys and their defaults are those of
 * llama.cpp, which keeps a few numbers of some families in its code instead.
 */
import { invalid } from '../invalid.js';
import { type Metadata, needed } from './metadata.js';
import { LAYER_NAMES } from './tensor-names.js';

export type Json = Readonly<Record<string, unknown>>;

/** What the families' own fields are made of. */
interface Shape {
  /** Of a key below the name of the architecture. */
  number(key: string): number | undefined;
  flags(key: string): readonly boolean[] | undefined;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly headDim: number;
  readonly theta: number;
  readonly context: number;
  /** `rope_scaling` of config.json; undefined where positions are not stretched. */
  readonly scaling: Json | undefined;
  /** Of tensors that hold factors of rotary frequencies. */
  factors(tensor: string): readonly number[] | undefined;
}

export interface GgufFamily {
  /** Of transformers. */
  readonly architecture: string;
  readonly modelType: string;
  readonly names: (typeof LAYER_NAMES)[keyof typeof LAYER_NAMES];
  /** Whether rows of queries and keys stand in pairs that are turned together; checkpoints have halves. */
  readonly paired: boolean;
  /** Whether gains of norms are stored plus one. */
  readonly gainsPlusOne: boolean;
  /** Keys that change answers, and that this family reads. */
  readonly reads: readonly string[];
  readonly fields?: (shape: Shape) => Json | null;
}

const PLAIN = { names: LAYER_NAMES.llama, paired: false, gainsPlusOne: false, reads: [] } as const;
const GEMMA = { ...PLAIN, names: LAYER_NAMES.normsBehind, gainsPlusOne: true } as const;

const WINDOW = 'attention.sliding_window';
const WINDOWED = 'attention.sliding_window_pattern';

/** Scores are divided by the root of it: of the largest Gemma 2 and 3 by the width that each head would have without head_dim. */
function scoreWidth({ layers, hidden, heads, headDim }: Shape, largest: number): number {
  return layers === largest ? hidden / heads : headDim;
}

function layerTypes({ flags, layers }: Shape, isWindowed: (n: number) => boolean): readonly string[] {
  const stored = flags(WINDOWED);
  if (stored !== undefined && stored.length !== layers) {
    throw invalid(`${WINDOWED} in the metadata has ${stored.length} items for ${layers} layers`);
  }
  return Array.from({ length: layers }, (_, n) =>
    (stored?.[n] ?? isWindowed(n)) ? 'sliding_attention' : 'full_attention',
  );
}

const FAMILIES: Readonly<Record<string, GgufFamily>> = {
  gemma2: {
    ...{ ...GEMMA, architecture: 'Gemma2ForCausalLM', modelType: 'gemma2' },
    reads: [WINDOW, 'attn_logit_softcapping', 'final_logit_softcapping'],
    fields: (shape) => ({
      sliding_window: shape.number(WINDOW) ?? 4096,
      layer_types: layerTypes(shape, (n) => n % 2 === 0),
      attn_logit_softcapping: shape.number('attn_logit_softcapping') ?? 50,
      final_logit_softcapping: shape.number('final_logit_softcapping') ?? 30,
      query_pre_attn_scalar: scoreWidth(shape, 46),
    }),
  },
  gemma3: {
    ...{ ...GEMMA, architecture: 'Gemma3ForCausalLM', modelType: 'gemma3_text' },
    reads: [WINDOW, 'final_logit_softcapping'],
    fields: (shape) => ({
      sliding_window: shape.number(WINDOW) ?? null,
      layer_types: layerTypes(shape, (n) => shape.number(WINDOW) !== undefined && (n + 1) % 6 !== 0),
      final_logit_softcapping: shape.number('final_logit_softcapping') ?? null,
      query_pre_attn_scalar: scoreWidth(shape, 62),
      rope_local_base_freq: shape.number('rope.freq_base_swa') ?? 10_000,
    }),
  },
  granite: {
    ...{ ...PLAIN, architecture: 'GraniteForCausalLM', modelType: 'granite', paired: true },
    reads: ['attention.scale', 'embedding_scale', 'residual_scale', 'logit_scale'],
    fields: ({ number, headDim }) => ({
      attention_multiplier: number('attention.scale') || headDim ** -0.5,
      embedding_multiplier: number('embedding_scale') || 1,
      residual_multiplier: number('residual_scale') || 1,
      logits_scaling: number('logit_scale') || 1,
    }),
  },
  llama: {
    ...{ ...PLAIN, architecture: 'LlamaForCausalLM', modelType: 'llama', paired: true },
    reads: [WINDOW],
    // Mistral's models have no name of their own here.
    fields: ({ number }) => {
      const window = number(WINDOW) || undefined;
      return window === undefined
        ? null
        : { architectures: ['MistralForCausalLM'], model_type: 'mistral', sliding_window: window };
    },
  },
  olmo2: { ...PLAIN, names: LAYER_NAMES.normsBehind, architecture: 'Olmo2ForCausalLM', modelType: 'olmo2' },
  phi3: {
    ...{ ...PLAIN, names: LAYER_NAMES.packed, architecture: 'Phi3ForCausalLM', modelType: 'phi3' },
    reads: [WINDOW],
    fields: ({ number, factors, context, scaling }) => {
      const long = factors('rope_factors_long.weight');
      const longrope = {
        rope_type: 'longrope',
        short_factor: factors('rope_factors_short.weight'),
        long_factor: long,
        attention_factor: number('rope.scaling.attn_factor') ?? 1,
      };
      return {
        sliding_window: number(WINDOW) || null,
        original_max_position_embeddings: number('rope.scaling.original_context_length') ?? context,
        ...(long === undefined ? scaling && { rope_scaling: scaling } : { rope_scaling: longrope }),
      };
    },
  },
  qwen2: { ...PLAIN, architecture: 'Qwen2ForCausalLM', modelType: 'qwen2' },
  qwen3: { ...PLAIN, architecture: 'Qwen3ForCausalLM', modelType: 'qwen3' },
  smollm3: {
    ...{ ...PLAIN, architecture: 'SmolLM3ForCausalLM', modelType: 'smollm3', paired: true },
    fields: () => ({ no_rope_layer_interval: 4 }),
  },
};

/** @throws ShoalError `model_invalid` for a family that is not supported */
export function familyOf(architecture: string): GgufFamily {
  if (Object.hasOwn(FAMILIES, architecture)) return FAMILIES[architecture]!;
  throw invalid(
    `general.architecture in the metadata is ${JSON.stringify(architecture.slice(0, 100))}, which is not supported; ` +
      `supported are ${Object.keys(FAMILIES).join(', ')}`,
  );
}

/** Keys below the architecture's name that change what a model answers, and the values with which they do not. */
const CHANGING: Readonly<Record<string, readonly unknown[]>> = {
  'attention.scale': [0],
  'attention.clamp_kqv': [0],
  'attention.max_alibi_bias': [0],
  'attention.causal': [true],
  [WINDOW]: [0],
  attn_logit_softcapping: [0],
  embedding_scale: [0, 1],
  expert_count: [0],
  final_logit_softcapping: [0],
  logit_scale: [0, 1],
  pooling_type: [0],
  residual_scale: [0, 1],
  use_parallel_residual: [false],
};

/** @throws ShoalError `model_invalid` naming what the family of the file cannot do */
export function refuseChanging(architecture: string, family: GgufFamily, metadata: Metadata): void {
  for (const [name, harmless] of Object.entries(CHANGING)) {
    const key = `${architecture}.${name}`;
    if (family.reads.includes(name) || !metadata.has(key)) continue;
    const value = typeof harmless[0] === 'boolean' ? metadata.flag(key) : metadata.number(key);
    if (harmless.includes(value)) continue;
    throw invalid(
      `${key} in the metadata is ${value}, which is not supported here: import the checkpoint of the model`,
    );
  }
}

export interface ConfigSource {
  readonly metadata: Metadata;
  readonly architecture: string;
  readonly family: GgufFamily;
  readonly vocabulary: number;
  /** Whether there is a tensor of this name. */
  has(tensor: string): boolean;
  factors(tensor: string): readonly number[] | undefined;
  readonly ends: readonly number[];
}

/** Fields of config.json. @throws ShoalError `model_invalid` naming the key that is missing or not supported */
export function configOf({ metadata, architecture, family, ends, ...tensors }: ConfigSource): Json {
  const key = (name: string) => `${architecture}.${name}`;
  const number = (name: string) => metadata.number(key(name));
  const size = (name: string) => needed(sameForAll(metadata, key(name)), key(name));
  const [hidden, layers, heads] = [size('embedding_length'), size('block_count'), size('attention.head_count')];
  const headDim = number('attention.key_length') ?? hidden / heads;
  if (number('attention.value_length') !== undefined && number('attention.value_length') !== headDim) {
    throw invalid(`${key('attention.value_length')} in the metadata differs from attention.key_length`);
  }
  const theta = number('rope.freq_base') ?? 10_000;
  const context = size('context_length');
  const scaling = scalingOf(metadata, key, tensors.factors('rope_freqs.weight'));
  const flags = (name: string) => metadata.flags(key(name));
  const shape: Shape = { ...{ number, flags, layers, hidden, heads, headDim, theta, context, scaling }, ...tensors };
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: tensors.vocabulary,
    hidden_size: hidden,
    intermediate_size: size('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: sameForAll(metadata, key('attention.head_count_kv')) ?? heads,
    head_dim: headDim,
    max_position_embeddings: context,
    rms_norm_eps: needed(number('attention.layer_norm_rms_epsilon'), key('attention.layer_norm_rms_epsilon')),
    rope_theta: theta,
    ...(scaling && { rope_scaling: scaling }),
    partial_rotary_factor: (number('rope.dimension_count') ?? headDim) / headDim,
    tie_word_embeddings: !tensors.has('output.weight'),
    attention_bias: tensors.has('blk.0.attn_output.bias'),
    mlp_bias: tensors.has('blk.0.ffn_down.bias'),
    eos_token_id: ends,
    ...family.fields?.(shape),
  };
}

/** A number, or the one that a list has for every layer. */
function sameForAll(metadata: Metadata, key: string): number | undefined {
  if (!metadata.isList(key)) return metadata.number(key);
  const [first, ...others] = metadata.numbers(key) ?? [];
  if (others.every((value) => value === first)) return first;
  throw invalid(`${key} in the metadata differs from layer to layer, which is not supported`);
}

/** `rope_scaling` of config.json. `divisors`: of each frequency, as Llama 3's stretching is stored. */
function scalingOf(
  metadata: Metadata,
  key: (name: string) => string,
  divisors: readonly number[] | undefined,
): Json | undefined {
  const type = metadata.text(key('rope.scaling.type')) ?? 'none';
  const number = (name: string) => metadata.number(key(`rope.scaling.${name}`));
  // Before there were types.
  const factor = number('factor') ?? metadata.number(key('rope.scale_linear')) ?? 1;
  if (divisors !== undefined) {
    if (type !== 'none' && type !== 'linear')
      throw invalid(`rope_freqs.weight and rope.scaling.type ${type} exclude each other`);
    return { rope_type: 'divided', divisors: divisors.map((divisor) => divisor * factor) };
  }
  switch (type) {
    case 'none':
    case 'linear':
      return factor === 1 ? undefined : { rope_type: 'linear', factor };
    case 'yarn': {
      const own = number('attn_factor') ?? 1;
      return {
        ...{ rope_type: 'yarn', factor, original_max_position_embeddings: number('original_context_length') },
        ...{ beta_fast: number('yarn_beta_fast') ?? 32, beta_slow: number('yarn_beta_slow') ?? 1 },
        ...(own !== 1 && { attention_factor: own * (0.1 * Math.log(factor) + 1) }),
      };
    }
    // Its factors are tensors, which the families that have them look for.
    case 'longrope':
      return undefined;
    default:
      throw invalid(
        `${key('rope.scaling.type')} in the metadata is ${JSON.stringify(type.slice(0, 60))}, which is not supported`,
      );
  }
}
