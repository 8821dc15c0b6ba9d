/** A model face without a tokenizer: every word is a token, and its id is the word's length. */
import {
  type JobError,
  type ModelCard,
  RerankInput,
  RerankParameters,
  requestObject,
  ShoalError,
  type Task,
  TextInput,
  type TextItem,
} from '@shoal/contracts';
import type { EncodedInput, EncodeRequest, ItemOutcome, Model, ModelFace } from '@shoal/models';
import { z } from 'zod';

const MAX_TOKENS = 8;

const Parameters = requestObject({
  dimensions: z.int().min(1).max(3).optional(),
  prompt_name: z.literal('query').optional(),
  truncate: z.boolean().default(false),
});

export function fakeFace(name: string, task: Task, version = '1'): ModelFace {
  const model = fakeModel(name, task, version);
  return {
    model,
    encode: async (request) => (task === 'rerank' ? encodeDocuments : encode)(model, request),
    present: (shape, results) => {
      if (task === 'rerank') return { output: rank(shape.parameters, results), errors: [] };
      const errors = results.flatMap((result, index): (JobError & { index: number })[] =>
        result?.error ? [{ ...result.error, index }] : [],
      );
      const output = results.map((result) => (result?.output?.kind === 'vector' ? [...result.output.values] : null));
      return { output: shape.array ? output : output[0], errors };
    },
    card: (origin, joining = null, keys = false, asked = name) => ({ ...cardOf(model, asked, origin, keys), joining }),
  };
}

function encode(model: Model, { input, task, parameters }: EncodeRequest): EncodedInput {
  if (task !== undefined && task !== model.task) throw fault('task', `${model.name} serves ${model.task}`);
  const checked = Parameters.safeParse(parameters ?? {});
  if (!checked.success) throw fault(`parameters.${String(checked.error.issues[0]?.path[0])}`, 'not valid');
  const array = Array.isArray(input);
  const items: TextItem[] = (array ? input : [input]).map((element: unknown, index) => {
    return toItem(element, array ? `input[${index}]` : 'input', checked.data.truncate);
  });
  return {
    task: model.task,
    parameters: checked.data,
    items,
    tokens: items.map((item) => item.ids.length),
    array,
    resultBytes: items.length * 12,
  };
}

/** A document's score is the sum of its words' lengths. */
function encodeDocuments(model: Model, request: EncodeRequest): EncodedInput {
  if (request.task !== undefined && request.task !== model.task) {
    throw fault('task', `${model.name} serves ${model.task}`);
  }
  const { documents } = RerankInput.parse(request.input);
  const parameters = RerankParameters.parse(request.parameters ?? {});
  const items = documents.map((document, index) => ({
    ...toItem(document, `input.documents[${index}]`, parameters.truncate),
    text: document,
  }));
  return {
    task: model.task,
    parameters,
    items,
    tokens: items.map(({ ids }) => ids.length),
    array: false,
    groups: [items.length],
    resultBytes: 0,
  };
}

function rank({ top_n, return_documents }: EncodedInput['parameters'], results: readonly ItemOutcome[]) {
  const scored = results.map((result, index) => {
    const score = result?.output?.kind === 'vector' ? result.output.values[0]! : 0;
    return { index, score, ...(return_documents === true && { document: `document ${index}` }) };
  });
  return scored.sort((a, b) => b.score - a.score).slice(0, top_n as number | undefined);
}

function toItem(element: unknown, path: string, truncate: boolean): TextItem {
  const text = TextInput.safeParse(element);
  if (!text.success) throw fault(path, text.error.issues[0]?.message ?? '');
  const ids = typeof text.data === 'object' && 'tokens' in text.data ? text.data.tokens : wordLengths(text.data);
  if (ids.length > MAX_TOKENS && !truncate) {
    const message = `has ${ids.length} tokens; the model takes ${MAX_TOKENS}`;
    throw new ShoalError('input_too_long', `${path}: ${message}`, { faults: [{ path, message }] });
  }
  return { kind: 'text', ids: Uint32Array.from(ids.slice(0, MAX_TOKENS)) };
}

function wordLengths(input: string | { readonly text: string }): number[] {
  return (typeof input === 'string' ? input : input.text).split(' ').map((word) => word.length);
}

export function fault(path: string, message: string): ShoalError {
  return new ShoalError('invalid_request', `${path}: ${message}`, { faults: [{ path, message }] });
}

export function fakeModel(name: string, task: Task, version: string): Model {
  return {
    name,
    version,
    variant: 'default',
    variants: { default: `${name}.onnx` },
    folder: name,
    task,
    shoal: {},
    labels: [],
    maxTokens: MAX_TOKENS,
    dimensions: 3,
    inputs: [],
    outputs: [],
    batchable: true,
    text: null,
    generator: null,
    original: 'default',
    quality: null,
    created: 1_767_225_600,
    queue: `${name}.${version}.default.0`,
  };
}

function cardOf(
  { task, version, created }: Model,
  name: string,
  origin: string,
  keys: boolean,
): Omit<ModelCard, 'joining' | 'served'> {
  const input = task === 'rerank' ? { query: 'fish', documents: ['many small fish'] } : 'many small fish';
  const request = { model: name, input };
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'shoal',
    task,
    version,
    variants: ['default'],
    limits: { max_tokens: MAX_TOKENS, max_items: 1000, max_batch_size: null, max_batch_tokens: null },
    example: {
      request,
      curl: `curl -s '${origin}/v1/jobs?wait=30'${keys ? ' -H key' : ''} -d '${JSON.stringify(request)}'`,
    },
  };
}
