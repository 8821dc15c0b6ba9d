/** The part of the document that other services' clients call: texts, embeddings, models, reranking. */
import { ADMISSION_ERRORS } from './job-operations.js';
import type { Operation, Operations, Parameter } from './operation.js';
import { type TextExamples, textOperations } from './text-operations.js';
import { VARIANT_HEADERS } from './variant-headers.js';

const NAME: Parameter = {
  in: 'path',
  name: 'name',
  description: "The model's name, or `name@version`, `name:variant`, `name@version:variant`.",
  schema: { type: 'string' },
  example: 'wordnet-topic',
};
export const CALL_ERRORS = [...ADMISSION_ERRORS, 'model_changed', 'wait_timeout'] as const;

interface Examples extends TextExamples {
  readonly embeddings: Readonly<Record<string, unknown>>;
  readonly rerank: Readonly<Record<string, unknown>>;
  readonly rerankTexts: Readonly<Record<string, unknown>>;
}

function wish(what: 'load' | 'unload', summary: string): Operation {
  return {
    id: `${what}Model`,
    tag: 'OpenAI',
    summary,
    description:
      'Kept for all workers, also for those that start later. `name` may name a version or a variant. Where keys are configured, for tenants in SHOAL_ADMINS.',
    parameters: [NAME],
    answers: {
      202: { description: 'The model as it stands now; workers follow within seconds.', schemas: ['ModelCard'] },
    },
    errors: ['model_not_found', 'not_permitted', 'redis_unavailable', 'invalid_request'],
    face: 'openai',
  };
}

export function openAiOperations({ embeddings, rerank, rerankTexts, ...texts }: Examples): Operations {
  const reranking = (id: string, clients: string, face: Operation['face'] & string) => ({
    post: {
      id,
      tag: 'Rerank' as const,
      summary: `Rank documents by their relevance to a query, for clients of ${clients}`,
      description:
        '`documents` are answered as Cohere and Jina do, `texts` as text-embeddings-inference does, on each of the three paths.',
      body:
        face === 'texts'
          ? { schemas: ['TextsRerankRequest' as const, 'RerankRequest' as const], examples: rerankTexts }
          : { schemas: ['RerankRequest' as const, 'TextsRerankRequest' as const], examples: rerank },
      answers: {
        200: {
          description: 'The documents, best first.',
          headers: VARIANT_HEADERS,
          schemas: face === 'texts' ? (['TextsRerank', 'Rerank'] as const) : (['Rerank', 'TextsRerank'] as const),
        },
      },
      errors: CALL_ERRORS,
      face,
    },
  });
  return {
    ...textOperations(texts),
    '/v1/embeddings': {
      post: {
        id: 'createEmbeddings',
        tag: 'OpenAI',
        summary: 'Embed texts or token arrays, as OpenAI does',
        description:
          'Up to 2,048 inputs. The answer comes when all of them are ready; nothing of the call is left when it is answered, or when the caller hangs up.',
        body: { schemas: ['EmbeddingsRequest'], examples: embeddings },
        answers: {
          200: {
            description: 'One embedding per input, in order.',
            schemas: ['Embeddings'],
            headers: VARIANT_HEADERS,
          },
        },
        errors: CALL_ERRORS,
        face: 'openai',
      },
    },
    '/v1/models': {
      get: {
        id: 'listModels',
        tag: 'OpenAI',
        summary: 'List the models',
        description: 'What can be asked for, with the task of each, as OpenAI lists models.',
        answers: { 200: { description: 'The newest version of each model.', schemas: ['ModelList'] } },
        errors: ['invalid_request'],
        face: 'openai',
      },
    },
    '/v1/models/{name}': {
      get: {
        id: 'getModel',
        tag: 'OpenAI',
        summary: "A model's task, limits and a request that runs",
        description:
          'The card of what the name stands for. A name that is not there is answered with those that are near.',
        parameters: [NAME],
        answers: { 200: { description: 'The model.', schemas: ['ModelCard'] } },
        errors: ['model_not_found', 'invalid_request'],
        face: 'openai',
      },
    },
    '/v1/models/{name}/load': { post: wish('load', 'Load a model, and let it take jobs again') },
    '/v1/models/{name}/unload': {
      post: wish('unload', 'Unload a model: what it has taken ends, new jobs are refused'),
    },
    '/v1/rerank': reranking('rerank', 'Cohere and Jina', 'openai'),
    '/v2/rerank': reranking('rerankV2', "Cohere's newer API", 'openai'),
    '/rerank': reranking('rerankTexts', 'text-embeddings-inference', 'texts'),
  };
}
