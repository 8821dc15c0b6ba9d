/** The OpenAPI document: every path, parameter, answer and error. Its examples name models that are served, so they run. */
import type { ModelFace } from '@shoal/models';
import { componentSchemas } from './components.js';
import { FILE_OPERATIONS } from './file-operations.js';
import { jobOperations } from './job-operations.js';
import { openAiOperations } from './openai-operations.js';
import { type Operation, type Operations, toOpenApi } from './operation.js';
import { WEBHOOK_OPERATIONS } from './webhook-operations.js';

function operations({ jobs, ...others }: Examples): Operations {
  return {
    ...jobOperations(jobs),
    ...WEBHOOK_OPERATIONS,
    ...openAiOperations(others),
    ...FILE_OPERATIONS,
    '/healthz': { get: probe('health', 'The process answers', 'For a liveness probe; needs no key.', 200) },
    '/readyz': {
      get: probe(
        'ready',
        'The process can take jobs',
        'For a readiness probe: Redis is asked; needs no key.',
        200,
        503,
      ),
    },
  };
}

function probe(id: string, summary: string, description: string, ...statuses: readonly number[]): Operation {
  const answers = statuses.map((status) => [
    status,
    { description: status === 200 ? 'Yes.' : 'No; `reason` says why.', schemas: ['Health'] },
  ]);
  return { id, tag: 'Health', summary, description, answers: Object.fromEntries(answers), errors: [] };
}

/** Of whatever is done for a caller. */
const CALLER_ERRORS = ['unauthorized', 'too_many_requests'] as const;

interface Examples {
  readonly jobs: Record<string, unknown>;
  readonly chats: Record<string, unknown>;
  readonly prompts: Record<string, unknown>;
  readonly embeddings: Record<string, unknown>;
  readonly rerank: Record<string, unknown>;
  readonly rerankTexts: Record<string, unknown>;
}

const TEXTS = ['Many small fish', 'in one large shoal'];
const QUERY = 'What do fish breathe with?';
const DOCUMENTS = ['Fish breathe with gills.', 'Bread is baked.'];

/** Where no model of a task is served, or nobody may know, an example names none that is there. */
const UNNAMED = 'your-model';

function examplesOf(faces: readonly ModelFace[]): Examples {
  const examples: Examples = { jobs: {}, chats: {}, prompts: {}, embeddings: {}, rerank: {}, rerankTexts: {} };
  for (const face of faces) {
    const { name, task, generator } = face.model;
    examples.jobs[name] ??= face.card('').example.request;
    if (task === 'feature-extraction') examples.embeddings[name] ??= embeddingsOf(name);
    if (task === 'text-generation') {
      if (generator?.chatTemplate != null) examples.chats[name] ??= chatOf(name);
      examples.prompts[name] ??= promptOf(name);
    }
    if (task === 'rerank') {
      examples.rerank[name] ??= rankingOf(name);
      examples.rerankTexts[name] ??= textsRankingOf(name);
    }
  }
  const orUnnamed = (found: Record<string, unknown>, example: unknown) =>
    Object.keys(found).length > 0 ? found : { [UNNAMED]: example };
  return {
    jobs: orUnnamed(examples.jobs, { model: UNNAMED, input: TEXTS[0] }),
    chats: orUnnamed(examples.chats, chatOf(UNNAMED)),
    prompts: orUnnamed(examples.prompts, promptOf(UNNAMED)),
    embeddings: orUnnamed(examples.embeddings, embeddingsOf(UNNAMED)),
    rerank: orUnnamed(examples.rerank, rankingOf(UNNAMED)),
    rerankTexts: orUnnamed(examples.rerankTexts, textsRankingOf(UNNAMED)),
  };
}

function chatOf(model: string) {
  return { model, messages: [{ role: 'user', content: QUERY }], max_completion_tokens: 32 };
}

function promptOf(model: string) {
  return { model, prompt: 'Fish breathe with', max_tokens: 32 };
}

function embeddingsOf(model: string) {
  return { model, input: TEXTS };
}

function rankingOf(model: string) {
  return { model, query: QUERY, documents: DOCUMENTS };
}

function textsRankingOf(model: string) {
  return { model, query: QUERY, texts: DOCUMENTS };
}

/** `keys`: callers need an API key. The document does not, so it names no model then. */
export function openApiDocument({ faces, keys }: { readonly faces: readonly ModelFace[]; readonly keys: boolean }) {
  const paths = Object.entries(operations(examplesOf(keys ? [] : faces))).map(([path, methods]) => {
    const entries = Object.entries(methods).map(([method, operation]) => {
      const errors = operation.tag === 'Health' ? [] : CALLER_ERRORS.filter((code) => keys || code !== 'unauthorized');
      return [method, toOpenApi({ ...operation, errors: [...operation.errors, ...errors] })];
    });
    return [path, Object.fromEntries(entries)];
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Shoal',
      version: '1',
      description:
        'Queue-based batch inference for ONNX models. A field that is null counts as left out wherever it may be left out.',
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'Jobs', description: 'Work of every task: submit, wait, follow, cancel. Errors are problem details.' },
      { name: 'Webhooks', description: 'Where events of your jobs are sent.' },
      { name: 'OpenAI', description: "What OpenAI's clients call; errors have its shape." },
      { name: 'Rerank', description: 'What clients of Cohere, Jina and text-embeddings-inference call.' },
      { name: 'Health', description: 'What probes call.' },
    ],
    paths: Object.fromEntries(paths),
    components: {
      schemas: componentSchemas(),
      ...(keys && { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'Your API key.' } } }),
    },
    ...(keys && { security: [{ key: [] }] }),
  };
}
