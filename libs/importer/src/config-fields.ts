/** Fields that the config.json of several architectures has. One that would change the answers and is not understood is refused by name. */
import { describeIssue } from '@shoal/contracts';
import { z } from 'zod';
import { invalid } from './invalid.js';

/** Far above any model, and small enough that no product of two overflows. */
const MAX_SIZE = 2 ** 24;

export const size = z.int().min(1).max(MAX_SIZE);

/** The deepest models have about a hundred. What is made for each layer must not be made a million times. */
export const layerCount = z.int().min(1).max(1024);

/** Tokens for which tables of angles are made. The longest contexts that models are trained for have a million. */
export const MAX_CONTEXT = 2 ** 20;

/** Numbers of one attention head; the widest have 512. */
const MAX_HEAD = 1024;

/** A field that has to have this value, or be left out. */
export function only<const T extends string | number | boolean>(...values: readonly [T, ...T[]]) {
  const list = values.map((value) => JSON.stringify(value)).join(' or ');
  return z.literal(values, { error: ({ input }) => `${shown(input)} is not supported, only ${list}` }).nullish();
}

/** A field that must not be there, or be empty. */
export const absent = absentOr('');

/** `remedy` is what to do where it is there. */
function absentOr(remedy: string) {
  return z
    .unknown()
    .refine((value) => value === null || (typeof value === 'object' && Object.keys(value).length === 0), {
      error: ({ input }) => `${shown(input)} is not supported${remedy}`,
    })
    .optional();
}

/** By Hugging Face's names. */
const ACTIVATIONS = ['gelu', 'gelu_new', 'gelu_fast', 'gelu_pytorch_tanh', 'relu', 'silu', 'swish'] as const;

export const activation = z.enum(ACTIVATIONS, {
  error: ({ input }) => `${shown(input)} is not supported; supported are ${ACTIVATIONS.join(', ')}`,
});
export type Activation = z.infer<typeof activation>;

/** What every encoder may have, and what none may. */
export const common = {
  vocab_size: size,
  pad_token_id: z.int().min(0).nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  num_labels: size.nullish(),
  quantization_config: absentOr(': import the model that it was made from, with --dtype int8'),
  pruned_heads: absent,
  is_decoder: only(false),
  is_encoder_decoder: only(false),
  add_cross_attention: only(false),
};

/** Of a class that scores texts. */
export const withLabels = z.object({
  pad_token_id: common.pad_token_id,
  id2label: common.id2label,
  num_labels: common.num_labels,
});

export type WithLabels = Readonly<Pick<z.infer<z.ZodObject<typeof common>>, 'id2label' | 'num_labels'>>;

/** Hugging Face leaves the names of the classes out where there are two without names. */
export function classesOf({ id2label, num_labels }: WithLabels): number {
  return Object.keys(id2label ?? {}).length || (num_labels ?? 2);
}

/** @throws ShoalError `model_invalid` naming the fields of config.json that are missing or not supported */
export function readConfig<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const result = schema.safeParse(config, { error: describeIssue });
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw invalid(`config.json: ${faults.join('; ')}`);
}

/** Width of one attention head. */
export function headSize(width: number, heads: number): number {
  if (width % heads !== 0) throw invalid(`config.json: a width of ${width} cannot be split into ${heads} heads`);
  return checkHead(width / heads);
}

/**
 * Numbers of all attention heads together: those of a state, unless `headDim` says how wide a head is. (That is Shoal's own, of
 * encoders some of whose heads were left out.)
 */
export function attentionWidth(width: number, heads: number, headDim: number | null | undefined): number {
  return heads * (headDim == null ? headSize(width, heads) : checkHead(headDim));
}

/** @throws ShoalError `model_invalid` */
export function checkHead(size: number): number {
  if (size > MAX_HEAD)
    throw invalid(`config.json: attention heads of ${size} numbers: at most ${MAX_HEAD} are supported`);
  return size;
}

function shown(input: unknown): string {
  return input === undefined ? 'nothing' : (JSON.stringify(input) ?? 'this').slice(0, 60);
}
