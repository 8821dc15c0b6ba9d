/** The OpenAPI document: every path, parameter, answer and error. Its examples name models that are served, so they run. */
import { JOB_STATES, MAX_ITEMS, MAX_WAIT_SECONDS } from '@shoal/contracts';
import type { Encoder } from '@shoal/models';
import { componentSchemas } from './components.js';
import { type Operation, type Operations, type Parameter, query, toOpenApi } from './operation.js';
import { WEBHOOK_OPERATIONS } from './webhook-operations.js';

const WAIT: Parameter = {
  in: 'query',
  name: 'wait',
  description: `Seconds to wait for the job to end, at most ${MAX_WAIT_SECONDS}.`,
  schema: { type: 'integer', minimum: 0, maximum: MAX_WAIT_SECONDS },
};
const PREFER: Parameter = {
  in: 'header',
  name: 'Prefer',
  description: '`wait=N` does what the query parameter does.',
  schema: { type: 'string', pattern: '^wait=\\d+$' },
};
const IDEMPOTENCY_KEY: Parameter = {
  in: 'header',
  name: 'Idempotency-Key',
  description: 'The same key and body are the same job for 24 hours and as long as its result is kept after that.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};
const LAST_EVENT_ID: Parameter = {
  in: 'header',
  name: 'Last-Event-ID',
  description: 'The id of the last event that the reader had. An EventSource sends it by itself.',
  schema: { type: 'string' },
};
const TOKEN = query('token', 'Instead of a key: as a signed address has it.', { type: 'string' });
const ID: Parameter = { in: 'path', name: 'id', description: 'The id of the job.', schema: { type: 'string' } };
const JOB_ERRORS = ['job_not_found', 'redis_unavailable'] as const;
const ADMISSION_ERRORS = [
  'model_not_found',
  'input_too_long',
  'result_too_large',
  'tenant_backlog_full',
  'tenant_memory_full',
  'queue_full',
  'memory_full',
  'not_replicated',
  'redis_unavailable',
] as const;

/** Of whatever belongs to a tenant. */
const TENANT_ERRORS = ['unauthorized', 'too_many_requests'] as const;

/** Of a job that names a webhook. */
const WEBHOOK_ERRORS = ['destination_not_allowed', 'webhooks_unavailable'] as const;

function operations(examples: Examples): Operations {
  return {
    '/v1/jobs': {
      post: {
        id: 'submitJob',
        tag: 'Jobs',
        summary: 'Submit a job',
        parameters: [WAIT, PREFER, IDEMPOTENCY_KEY],
        body: { schema: 'JobRequest', examples: examples.jobs },
        answers: {
          200: { description: 'The job has ended while the caller waited.', schema: 'Job' },
          202: { description: 'The job is accepted.', schema: 'JobReceipt' },
        },
        errors: [...ADMISSION_ERRORS, ...WEBHOOK_ERRORS, 'idempotency_conflict', 'job_gone'],
      },
      get: {
        id: 'listJobs',
        tag: 'Jobs',
        summary: 'List jobs, newest first',
        parameters: [
          query('status', 'Only jobs in this state.', { enum: JOB_STATES }),
          query('model', 'Only jobs of this model.', { type: 'string' }),
          query('limit', 'Most jobs of a page.', { type: 'integer', minimum: 1, maximum: 100, default: 20 }),
          query(
            'cursor',
            'The `next_cursor` of the page before. A page can have less than `limit`, even nothing, and still be followed by another.',
            { type: 'string' },
          ),
        ],
        answers: { 200: { description: 'A page of jobs, without their outputs.', schema: 'JobList' } },
        errors: ['invalid_request', 'redis_unavailable'],
      },
    },
    '/v1/jobs/bulk': {
      post: {
        id: 'submitJobs',
        tag: 'Jobs',
        summary: `Submit up to ${MAX_ITEMS} jobs, each accepted or refused by itself`,
        parameters: [IDEMPOTENCY_KEY],
        body: { schema: 'BulkRequest', examples: { bulk: { jobs: Object.values(examples.jobs) } } },
        answers: { 200: { description: 'One entry per job, in order.', schema: 'BulkAnswer' } },
        errors: ['redis_unavailable'],
      },
    },
    '/v1/jobs/{id}': {
      get: {
        id: 'getJob',
        tag: 'Jobs',
        summary: 'Read a job, or wait for its end',
        parameters: [ID, WAIT, PREFER],
        answers: { 200: { description: 'The job as it stands.', schema: 'Job' } },
        errors: [...JOB_ERRORS, 'invalid_request'],
      },
      delete: {
        id: 'deleteJob',
        tag: 'Jobs',
        summary: 'Cancel a job if need be and erase its input and output',
        parameters: [ID],
        answers: { 204: { description: 'The job is gone.' } },
        errors: JOB_ERRORS,
      },
    },
    '/v1/jobs/{id}/cancel': {
      post: {
        id: 'cancelJob',
        tag: 'Jobs',
        summary: 'Cancel a job and keep its record',
        description: 'Queued items never run; what is running is discarded. A job that has ended stays as it is.',
        parameters: [ID],
        answers: { 200: { description: 'The job as it then stands.', schema: 'Job' } },
        errors: JOB_ERRORS,
      },
    },
    '/v1/jobs/{id}/events': {
      get: {
        id: 'followJob',
        tag: 'Jobs',
        summary: 'Follow a job as server-sent events',
        description:
          '`job.queued`, `job.started`, then of an array one `job.output` per element in the order in which they are ready, ' +
          'with `job.progress` between them, and last `job.completed`, `job.failed`, `job.cancelled` or `job.expired`. ' +
          'A reader that was cut off goes on at any replica, without a gap or a repeat.',
        parameters: [ID, TOKEN, LAST_EVENT_ID],
        answers: {
          200: { description: 'The events.', mediaType: 'text/event-stream' },
          204: { description: 'The last event was the last of the job.' },
        },
        errors: [...JOB_ERRORS, 'invalid_request'],
      },
    },
    '/v1/jobs/{id}/events/url': {
      post: {
        id: 'signEventsUrl',
        tag: 'Jobs',
        summary: 'Make a short-lived address of the events for a reader that cannot send a key',
        description: "For a browser's EventSource. It opens the events of this job and nothing else, until it expires.",
        parameters: [ID],
        body: { schema: 'EventsUrlRequest', examples: { minute: { expires_in: 60 } } },
        answers: { 200: { description: 'The address.', schema: 'EventsUrl' } },
        errors: [],
      },
    },
    ...WEBHOOK_OPERATIONS,
    '/v1/embeddings': {
      post: {
        id: 'createEmbeddings',
        tag: 'OpenAI',
        summary: 'Embed texts or token arrays, as OpenAI does',
        body: { schema: 'EmbeddingsRequest', examples: examples.embeddings },
        answers: { 200: { description: 'One embedding per input, in order.', schema: 'Embeddings' } },
        errors: [...ADMISSION_ERRORS, 'inference_failed', 'wait_timeout'],
        openAi: true,
      },
    },
    '/v1/models': {
      get: {
        id: 'listModels',
        tag: 'OpenAI',
        summary: 'List the models',
        answers: { 200: { description: 'The newest version of each model.', schema: 'ModelList' } },
        errors: [],
        openAi: true,
      },
    },
    '/v1/models/{name}': {
      get: {
        id: 'getModel',
        tag: 'OpenAI',
        summary: "A model's task, limits and a request that runs",
        parameters: [{ in: 'path', name: 'name', description: "The model's name.", schema: { type: 'string' } }],
        answers: { 200: { description: 'The model.', schema: 'ModelCard' } },
        errors: ['model_not_found'],
        openAi: true,
      },
    },
    '/healthz': { get: probe('health', 'The process answers', 200) },
    '/readyz': { get: probe('ready', 'The process can take jobs', 200, 503) },
  };
}

function probe(id: string, summary: string, ...statuses: readonly number[]): Operation {
  const answers = statuses.map((status) => [
    status,
    { description: status === 200 ? 'Yes.' : 'No; `reason` says why.' },
  ]);
  return { id, tag: 'Health', summary, answers: Object.fromEntries(answers), errors: [] };
}

interface Examples {
  readonly jobs: Record<string, unknown>;
  readonly embeddings: Record<string, unknown>;
}

function examplesOf(encoders: readonly Encoder[]): Examples {
  const examples: Examples = { jobs: {}, embeddings: {} };
  for (const encoder of encoders) {
    const { name, task } = encoder.model;
    examples.jobs[name] ??= encoder.card('').example.request;
    if (task === 'feature-extraction') {
      examples.embeddings[name] ??= { model: name, input: ['Many small fish', 'in one large shoal'] };
    }
  }
  return examples;
}

/** `encoders` give the examples; `keys`: whether callers need an API key. */
export function openApiDocument({ encoders, keys }: { readonly encoders: readonly Encoder[]; readonly keys: boolean }) {
  const paths = Object.entries(operations(examplesOf(encoders))).map(([path, methods]) => {
    const entries = Object.entries(methods).map(([method, operation]) => {
      const errors = path.startsWith('/v1/') ? TENANT_ERRORS.filter((code) => keys || code !== 'unauthorized') : [];
      return [method, toOpenApi({ ...operation, errors: [...operation.errors, ...errors] })];
    });
    return [path, Object.fromEntries(entries)];
  });
  return {
    openapi: '3.1.0',
    info: { title: 'Shoal', version: '1', description: 'Queue-based batch inference for ONNX models.' },
    servers: [{ url: '/' }],
    tags: [{ name: 'Jobs' }, { name: 'Webhooks' }, { name: 'OpenAI' }, { name: 'Health' }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: componentSchemas(),
      ...(keys && { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } }),
    },
    ...(keys && { security: [{ key: [] }] }),
  };
}
