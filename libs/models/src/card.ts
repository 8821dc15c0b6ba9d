/** What a model tells of itself, with a request that really runs. */
import { type Joining, MAX_ITEMS, type ModelCard, type Task, type TensorSpec } from '@shoal/contracts';
import type { Model } from './types.js';

const TEXT_EXAMPLES: Readonly<Record<Exclude<Task, 'tensors'>, unknown>> = {
  'text-generation': 'Once upon a time',
  'text-classification': 'Many small fish in one large shoal.',
  'feature-extraction': 'Many small fish in one large shoal.',
  'token-classification': 'Ada Lovelace met Charles Babbage in London.',
  rerank: { query: 'What do fish breathe with?', documents: ['Fish breathe with gills.', 'Bread is baked.'] },
};

/** `origin` is where callers reach the API, e.g. `http://localhost:8080`; `keys`: they need an API key. */
export function modelCard(model: Model, origin: string, joining: Joining | null, keys: boolean): ModelCard {
  const { shoal, task, labels, dimensions } = model;
  const request = { model: model.name, input: shoal.example ?? example(model) };
  return {
    id: model.name,
    object: 'model',
    created: model.created,
    owned_by: 'shoal',
    task,
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
    ...(task === 'tensors' && { inputs: model.inputs, outputs: model.outputs }),
    example: { request, curl: curl(origin, keys, request) },
  };
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

/** A line for a POSIX shell; the answer comes when the job is done. */
function curl(origin: string, keys: boolean, request: unknown): string {
  const headers = [...(keys ? ['authorization: Bearer <your key>'] : []), 'content-type: application/json'];
  const flags = headers.map((header) => `-H ${quoted(header)}`).join(' ');
  return `curl -s ${quoted(`${origin}/v1/jobs?wait=30`)} ${flags} -d ${quoted(JSON.stringify(request))}`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
