/** The part of the document that is about jobs. */
import { JOB_STATES, MAX_ITEMS, MAX_WAIT_SECONDS } from '@shoal/contracts';
import { EVENTS, JOB_ID } from './examples.js';
import { type Operations, type Parameter, query } from './operation.js';

const WAIT: Parameter = {
  in: 'query',
  name: 'wait',
  description: `Whole seconds to wait for the job to end, 0 to ${MAX_WAIT_SECONDS}. The answer comes as soon as it has, or as it stands when the time is over.`,
  schema: { type: 'integer', minimum: 0, maximum: MAX_WAIT_SECONDS, default: 0 },
};
const PREFER: Parameter = {
  in: 'header',
  name: 'Prefer',
  description: '`wait=N` (RFC 7240) does what the query parameter `wait` does; where both are given, the query counts.',
  schema: { type: 'string', pattern: '^wait=\\d+$' },
};
const IDEMPOTENCY_KEY: Parameter = {
  in: 'header',
  name: 'Idempotency-Key',
  description:
    'A word of your own, such as `order-4711`. The same key and body are the same job, however often they are sent, for 24 hours and as long as its result is kept after that.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};
const LAST_EVENT_ID: Parameter = {
  in: 'header',
  name: 'Last-Event-ID',
  description: 'The id of the last event that the reader had, a number. An EventSource sends it by itself.',
  schema: { type: 'string' },
};
const ID: Parameter = {
  in: 'path',
  name: 'id',
  description: 'The id of the job.',
  schema: { type: 'string' },
  example: JOB_ID,
};
const TOKEN = query('token', 'Instead of a key: as a signed address has it.', { type: 'string' });
const JOB_ERRORS = ['job_not_found', 'redis_unavailable'] as const;

export const ADMISSION_ERRORS = [
  'model_not_found',
  'model_unloaded',
  'model_failed',
  'input_too_long',
  'inference_failed',
  'result_too_large',
  'tenant_backlog_full',
  'tenant_memory_full',
  'queue_full',
  'memory_full',
  'not_replicated',
  'redis_unavailable',
] as const;

/** Of a job that names a webhook. */
const WEBHOOK_ERRORS = ['destination_not_allowed', 'webhooks_unavailable'] as const;

/** `examples`: jobs that the served models take, by name. */
export function jobOperations(examples: Readonly<Record<string, unknown>>): Operations {
  return {
    '/v1/jobs': {
      post: {
        id: 'submitJob',
        tag: 'Jobs',
        summary: 'Submit a job',
        description:
          'The input is checked and queued; a worker runs it. With `wait`, the answer is the job with its output if it ends in time.',
        parameters: [WAIT, PREFER, IDEMPOTENCY_KEY],
        body: { schemas: ['JobRequest'], examples },
        answers: {
          200: { description: 'The job has ended while the caller waited.', schemas: ['Job'] },
          202: { description: 'The job is accepted.', schemas: ['JobReceipt'] },
        },
        errors: [...ADMISSION_ERRORS, ...WEBHOOK_ERRORS, 'idempotency_conflict', 'job_gone'],
      },
      get: {
        id: 'listJobs',
        tag: 'Jobs',
        summary: 'List jobs, newest first',
        description: 'Your own jobs as long as they are kept, a page at a time.',
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
        answers: { 200: { description: 'A page of jobs, without their outputs.', schemas: ['JobList'] } },
        errors: ['invalid_request', 'redis_unavailable'],
      },
    },
    '/v1/jobs/bulk': {
      post: {
        id: 'submitJobs',
        tag: 'Jobs',
        summary: `Submit up to ${MAX_ITEMS} jobs, each accepted or refused by itself`,
        description:
          'Of one model many inputs are cheaper as one job with an array. With an Idempotency-Key, repeating a call that was cut off completes it.',
        parameters: [IDEMPOTENCY_KEY],
        body: { schemas: ['BulkRequest'], examples: { bulk: { jobs: Object.values(examples) } } },
        answers: { 200: { description: 'One entry per job, in order.', schemas: ['BulkAnswer'] } },
        errors: ['redis_unavailable'],
      },
    },
    '/v1/jobs/{id}': {
      get: {
        id: 'getJob',
        tag: 'Jobs',
        summary: 'Read a job, or wait for its end',
        description: 'The whole record, with the output once the job has ended.',
        parameters: [ID, WAIT, PREFER],
        answers: { 200: { description: 'The job as it stands.', schemas: ['Job'] } },
        errors: [...JOB_ERRORS, 'invalid_request'],
      },
      delete: {
        id: 'deleteJob',
        tag: 'Jobs',
        summary: 'Cancel a job if need be and erase its input and output',
        description: 'Nothing of it is left, and its id is not found any more.',
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
        answers: { 200: { description: 'The job as it then stands.', schemas: ['Job'] } },
        errors: JOB_ERRORS,
      },
    },
    '/v1/jobs/{id}/events': {
      get: {
        id: 'followJob',
        tag: 'Jobs',
        summary: 'Follow a job as server-sent events',
        description:
          '`job.queued`, `job.started`, then of generated texts a `job.text` for whatever is added to one, and of an array one ' +
          '`job.output` per element in the order in which they are ready, ' +
          'with `job.progress` between them, and last `job.completed`, `job.failed`, `job.cancelled` or `job.expired`. ' +
          'A reader that was cut off goes on at any replica, without a gap or a repeat.',
        parameters: [ID, TOKEN, LAST_EVENT_ID],
        answers: {
          200: { description: 'The events.', text: { mediaType: 'text/event-stream', example: EVENTS } },
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
        body: { schemas: ['EventsUrlRequest'], examples: { minute: { expires_in: 60 } } },
        answers: { 200: { description: 'The address.', schemas: ['EventsUrl'] } },
        errors: ['job_not_found'],
      },
    },
  };
}
