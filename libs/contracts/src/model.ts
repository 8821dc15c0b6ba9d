/** What a model folder declares about itself (`shoal.json`) and what the API tells of it. */
import { z } from 'zod';
import type { AccuracyLoss, SpeedRatio, VariantQuality } from './quality.js';

export const TASKS = [
  'text-classification',
  'feature-extraction',
  'rerank',
  'token-classification',
  'text-generation',
  'tensors',
] as const;
export const Task = z.enum(TASKS);
export type Task = z.infer<typeof Task>;

/** Folder names become parts of Redis keys and job ids: lower case, digits, dot, dash and underscore. */
export const ModelName = z
  .string()
  .max(96)
  .regex(/^[a-z0-9][a-z0-9._-]*$/, 'use lower-case letters, digits, ".", "_" and "-", starting with a letter or digit');

const VERSION = '[1-9][0-9]{0,8}';
const VARIANT = '[a-z0-9][a-z0-9_-]*';

/** `name`, `name@2`, `name:int8` or `name@2:int8`: a model, and where it is said one version and variant of it. */
export const ModelSelector = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^[a-z0-9][a-z0-9._-]*(@${VERSION})?(:${VARIANT})?$`),
    'write name, name@2, name:int8 or name@2:int8',
  );

export interface SelectedModel {
  readonly name: string;
  /** Undefined: the newest. */
  readonly version: string | undefined;
  /** Undefined: the version's first. */
  readonly variant: string | undefined;
}

const SELECTOR = new RegExp(`^(.+?)(?:@(${VERSION}))?(?::(${VARIANT}))?$`, 's');

/** What a name as callers write it asks for; what has another form is a name that no model has. */
export function parseSelector(text: string): SelectedModel {
  const [, name = text, version, variant] = SELECTOR.exec(text) ?? [];
  return { name, version, variant };
}

/** The name that asks for exactly this. */
export function formatSelector({ name, version, variant }: SelectedModel): string {
  return `${name}${version === undefined ? '' : `@${version}`}${variant === undefined ? '' : `:${variant}`}`;
}

/** How the vectors of a text's tokens become one, by sentence-transformers' names; `last`: its `lasttoken`. */
export const POOLINGS = ['cls', 'max', 'mean', 'mean_sqrt_len', 'weightedmean', 'last'] as const;
export type Pooling = (typeof POOLINGS)[number];

export const Limits = z.strictObject({
  /** Most rows of one micro-batch. 1 for a model that cannot be batched. */
  max_batch_size: z.int().min(1).max(4096).optional(),
  /** Most tokens of one micro-batch, padding included. Left out: measured when the worker starts. */
  max_batch_tokens: z.int().min(1).optional(),
  /** Longest time in ms that a batch stays open for more items while the device is busy or warming up. */
  max_delay_ms: z.number().min(0).max(10_000).optional(),
  /** Longest input in tokens. Left out: from the tokenizer and config. */
  max_tokens: z.int().min(1).optional(),
  /** Most tokens of all unfinished jobs of this model before submissions are answered 429. */
  max_queued_tokens: z.int().min(1).optional(),
});
export type Limits = z.infer<typeof Limits>;

/** `models/<name>/<version>/shoal.json`. Every field is optional: the loader reads the graph and Hugging Face's files. */
export const ShoalJson = z.strictObject({
  task: Task.optional(),
  description: z.string().max(500).optional(),
  license: z.string().max(200).optional(),
  limits: Limits.optional(),
  /** variant name → ONNX file, relative to the folder. Left out: `onnx/model*.onnx` and `model*.onnx` are found. */
  variants: z.record(z.string().regex(new RegExp(`^${VARIANT}$`)), z.string()).optional(),
  default_variant: z.string().optional(),
  pooling: z.enum(POOLINGS).optional(),
  normalize: z.boolean().optional(),
  /** What a language model that ranks documents is asked: its text, with `{query}` and behind that `{document}` in it. */
  pair_template: z
    .string()
    .max(16_384)
    .refine((text) => text.includes('{query}') && text.indexOf('{document}') > text.indexOf('{query}'), {
      error: 'it must have {query} in it, and {document} behind that',
    })
    .optional(),
  /** Whether texts that are too long are cut where a request does not say. */
  truncate: z.boolean().optional(),
  /** The graph's output with the embedding or the logits, where its name does not tell. */
  output: z.string().optional(),
  /** Rows of different callers share a forward pass where that is proved to change no result; false: never. */
  joining: z.literal(false, 'leave it out, or set it to false: whether rows may be joined is proved').optional(),
  /** An input to show in the model card and in examples. */
  example: z.unknown().optional(),
});
export type ShoalJson = z.infer<typeof ShoalJson>;

/**
 * Which rows of different callers share a forward pass: texts of any lengths, only rows of the same shape, or none. It is
 * proved for each graph.
 */
export const Joining = z.strictObject({
  rows: z.enum(['any-length', 'same-shape', 'alone']),
  /** Why no more than that; null where nothing is in the way. */
  reason: z.string().nullable(),
});
export type Joining = z.infer<typeof Joining>;

/** `GET /v1/models`: OpenAI's model object, and the task. */
export interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  readonly task: Task;
  /** Of models that generate text: tokens of prompt and answer together. vLLM's name for it. */
  readonly max_model_len?: number;
  /** Of a name that models.json gives: what jobs that ask for it run on. */
  readonly stands_for?: readonly StandIn[];
}

/** One of the models that share a further name. */
export interface StandIn {
  /** As ModelSelector. */
  readonly model: string;
  /** Relative to those of the others. */
  readonly weight: number;
}

/** `GET /v1/models/{name}`. */
export interface ModelCard extends ListedModel {
  readonly version: string;
  readonly variants: readonly string[];
  readonly description?: string;
  readonly license?: string;
  readonly limits: {
    readonly max_tokens: number | null;
    readonly max_items: number;
    readonly max_batch_size: number | null;
    readonly max_batch_tokens: number | null;
  };
  /** Every version and variant that there is, newest version first. */
  readonly served: readonly ServedModel[];
  /** Null where no worker has loaded the model yet. */
  readonly joining: Joining | null;
  readonly labels?: readonly string[];
  readonly dimensions?: number;
  /** Texts that are put before an input, by the name that `prompt_name` chooses them with. */
  readonly prompts?: Readonly<Record<string, string>>;
  /** The one of them that an input gets where no name is given; left out where it gets none. */
  readonly default_prompt_name?: string;
  readonly inputs?: readonly TensorSpec[];
  readonly outputs?: readonly TensorSpec[];
  readonly example: {
    readonly request: unknown;
    readonly curl: string;
    /** The same in OpenAI's words, where it has some for the task. */
    readonly openai_curl?: string;
  };
}

/** One version and variant as it stands in all workers. */
export interface ServedModel {
  /** What asks for exactly this. */
  readonly id: string;
  /** `on_demand`: it is loaded when a job asks for it; `failed`: it did not load, and is tried again; `unloaded`: it takes no jobs. */
  readonly state: 'loaded' | 'on_demand' | 'failed' | 'unloaded';
  /** That have it loaded. */
  readonly workers: number;
  /** Why it did not load, where it failed. */
  readonly reason?: string;
  /** Of a version whose variants were measured, the one that they were measured against. */
  readonly original?: true;
  /** What was measured of it; left out: nothing was. */
  readonly quality?: ServedQuality;
}

/** What is told to callers of what was measured of a variant. */
export interface ServedQuality {
  /** Only one that `passed` is given to requests by what they allow. */
  readonly verdict: VariantQuality['verdict'];
  /** How it was made, for people. */
  readonly method: string;
  readonly accuracy_loss: AccuracyLoss;
  readonly speeds: readonly SpeedRatio[];
  /** Of a cascade: the share of the texts it was measured on that its teacher answered. */
  readonly escalated?: number;
}

export interface TensorSpec {
  readonly name: string;
  readonly type: string;
  /** A string is a dimension the caller chooses (the name it has in the graph). */
  readonly shape: readonly (number | string)[];
}
