/** What a model tells of itself, with a request that really runs. */
import { type Joining, MAX_ITEMS, type ModelCard, type Task, type TensorSpec } from '@shoal/contracts';
import type { Model } from './types.js';

const TEXT_EXAMPLES: Readonly<Record<Exclude<Task, 'tensors'>, unknown>> = {
  'text-generation': 'Many small fish',
  'text-classification': 'Many small fish in one large shoal.',
  'feature-extraction': 'Many small fish in one large shoal.',
  'token-classification': 'Ada Lovelace met Charles Babbage in London.',
  rerank: { query: 'What do fish breathe with?', documents: ['Fish breathe with gills.', 'Bread is baked.'] },
};

/** Its answer comes soon. */
const SHORT = { parameters: { max_tokens: 64 } };

export interface CardContext {
  /** Where callers reach the API, e.g. `http://localhost:8080`. */
  readonly origin: string;
  readonly joining: Joining | null;
  /** They need an API key. */
  readonly keys: boolean;
}

/** `name`: what it is asked for by. */
export function modelCard(
  model: Model,
  name: string,
  { origin, joining, keys }: CardContext,
): Omit<ModelCard, 'served'> {
  const { shoal, task, labels, dimensions, generator } = model;
  const request = { model: name, input: exampleInput(model), ...(generator && SHORT) };
  return {
    id: name,
    object: 'model',
    created: model.created,
    owned_by: 'shoal',
    task,
    ...(generator && { max_model_len: generator.maxContext }),
    version: model.version,
    variants: Object.keys(model.variants),
    ...(shoal.description !== undefined && { description: shoal.description }),
    ...(shoal.license !== undefined && { license: shoal.license }),
    limits: {
      max_tokens: model.maxTokens,
      max_items: MAX_ITEMS,
      max_batch_size: model.batchable ? (shoal.limits?.max_batch_size ?? null) : 1,
      max_batch_tokens: shoal.limits?.max_batch_tokens ?? null,
    },
    joining,
    ...(labels.length > 0 && { labels }),
    ...(dimensions !== null && { dimensions }),
    ...promptsOf(model),
    ...(task === 'tensors' && { inputs: model.inputs, outputs: model.outputs }),
    example: {
      request,
      curl: curl(`${origin}/v1/jobs?wait=30`, keys, request),
      ...(generator && { openai_curl: openaiCurl(origin, keys, name, request.input) }),
    },
  };
}

/** Empty ones change nothing. */
function promptsOf({ text }: Model): Pick<ModelCard, 'prompts' | 'default_prompt_name'> {
  const { texts, standard = null } = text?.prompts ?? { texts: new Map<string, string>() };
  if ([...texts.values()].every((prompt) => prompt === '')) return {};
  return { prompts: Object.fromEntries(texts), ...(standard !== null && { default_prompt_name: standard }) };
}

/** A model that was made for conversations is asked for the next turn of one. */
function exampleInput(model: Model): unknown {
  const input = model.shoal.example ?? example(model);
  if (typeof input !== 'string' || model.generator?.chatTemplate == null) return input;
  return { messages: [{ role: 'user', content: input }] };
}

function example({ task, inputs }: Model): unknown {
  if (task !== 'tensors') return TEXT_EXAMPLES[task];
  return Object.fromEntries(inputs.map((spec) => [spec.name, zeros(spec)]));
}

/** Nested zeros of the input's shape, with 1 for every dimension that the caller chooses. */
function zeros({ type, shape }: TensorSpec): unknown {
  const zero = type === 'string' ? '' : type === 'bool' ? false : type.endsWith('int64') ? '0' : 0;
  return shape.reduceRight<unknown>((inner, size) => {
    return Array.from({ length: typeof size === 'number' ? size : 1 }, () => inner);
  }, zero);
}

/** The same to the path that OpenAI has for it. */
function openaiCurl(origin: string, keys: boolean, model: string, input: unknown): string {
  const { max_tokens } = SHORT.parameters;
  return typeof input === 'object'
    ? curl(`${origin}/v1/chat/completions`, keys, { model, ...input, max_tokens })
    : curl(`${origin}/v1/completions`, keys, { model, prompt: input, max_tokens });
}

/** A line for a POSIX shell; the answer comes when the job is done. */
function curl(url: string, keys: boolean, request: unknown): string {
  const headers = [...(keys ? ['authorization: Bearer <your key>'] : []), 'content-type: application/json'];
  const flags = headers.map((header) => `-H ${quoted(header)}`).join(' ');
  return `curl -s ${quoted(url)} ${flags} -d ${quoted(JSON.stringify(request))}`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
