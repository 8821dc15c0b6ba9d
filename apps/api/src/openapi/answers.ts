/** Answers as schemas, for the document and for tests. The compiler holds each one to the type that the API sends. */

import {
  ERRORS,
  type ErrorCode,
  type EventsUrlView,
  type JobError,
  type JobReceipt,
  JobState,
  type JobSummary,
  type JobView,
  Joining,
  type ModelCard,
  Priority,
  Task,
  WebhookEvent,
} from '@shoal/contracts';
import { z } from 'zod';
import type { Problem } from '../http/problem.js';
import type { BulkEntry } from '../jobs/bulk.controller.js';
import type { EmbeddingsResponse } from '../openai/embeddings.service.js';
import type { OpenAiError } from '../openai/openai-error.js';

const Code = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);
const Time = z.iso.datetime();
const Count = z.int().min(0);
const Milliseconds = z.number().min(0);

const jobError = { code: Code, title: z.string(), detail: z.string(), retryable: z.boolean() };
export const JobErrorSchema = z.object(jobError) satisfies z.ZodType<JobError>;

const receipt = {
  id: z.string(),
  object: z.literal('job'),
  status: JobState,
  links: z.object({ self: z.string(), cancel: z.string(), events: z.string() }),
};
export const JobReceiptSchema = z.strictObject(receipt) satisfies z.ZodType<JobReceipt>;

const summary = {
  ...receipt,
  model: z.string(),
  version: z.string(),
  variant: z.string(),
  task: Task,
  priority: Priority,
  created_at: Time,
  started_at: Time.nullable(),
  ended_at: Time.nullable(),
  expires_at: Time.nullable().describe('When the record and its output are forgotten.'),
  deadline: Time.nullable(),
  metadata: z.record(z.string(), z.string()),
  webhook: z.object({ url: z.string(), events: z.array(WebhookEvent) }).nullable(),
  items: z.object({ total: Count, done: Count, failed: Count }),
  error: JobErrorSchema.nullable().describe("The job's own error; errors of single items of an array are in `errors`."),
  usage: z.object({ input_tokens: Count }),
};
export const JobSummarySchema = z.strictObject(summary) satisfies z.ZodType<JobSummary>;

export const JobSchema = z.strictObject({
  ...summary,
  output: z
    .unknown()
    .describe('One output, or one per item in the order of the input, null where the item failed. Null until the end.'),
  errors: z.array(z.object({ ...jobError, index: Count })),
  timings: z
    .object({ queued_ms: Milliseconds, batching_ms: Milliseconds, running_ms: Milliseconds })
    .nullable()
    .describe('Of the item that ended last: waiting in Redis, waiting for its micro-batch, in the forward pass.'),
  batches: z
    .array(
      z.object({
        size: Count,
        padded_share: z.number().min(0).max(1),
        closed_by: z.enum(['idle', 'size', 'tokens', 'delay', 'alone']),
        items: Count.describe("How many of the micro-batch's items were this job's."),
      }),
    )
    .describe('The micro-batches that the items ran in.'),
  attempts: Count,
}) satisfies z.ZodType<JobView>;

export const JobListSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(JobSummarySchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable().describe('The `cursor` of the next page.'),
});

export const EventsUrlSchema = z.strictObject({
  object: z.literal('events_url'),
  url: z.string().describe('A path with its query, on this server.'),
  expires_at: Time.describe('No stream can be opened from here on; one that is open goes on.'),
}) satisfies z.ZodType<EventsUrlView>;

export const ProblemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: Code,
  retryable: z.boolean().describe('Whether the same request may succeed later.'),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).describe('Every fault of the request.'),
  instance: z.string().describe('The id of the request.'),
}) satisfies z.ZodType<Problem>;

const bulkEntry = { index: Count, status: z.int() };
export const BulkAnswerSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(
    z.union([
      z.strictObject({ ...bulkEntry, job: JobReceiptSchema }),
      z.strictObject({ ...bulkEntry, error: ProblemSchema }),
    ]) satisfies z.ZodType<BulkEntry>,
  ),
  accepted: Count,
  refused: Count,
});

export const EmbeddingsSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(
    z.strictObject({
      object: z.literal('embedding'),
      index: Count,
      embedding: z.union([z.array(z.number()), z.string().describe('Base64 of little-endian float32.')]),
    }),
  ),
  model: z.string(),
  usage: z.strictObject({ prompt_tokens: Count, total_tokens: Count }),
}) satisfies z.ZodType<EmbeddingsResponse>;

export const OpenAiErrorSchema = z.strictObject({
  error: z.strictObject({ message: z.string(), type: z.string(), param: z.string().nullable(), code: Code }),
}) satisfies z.ZodType<OpenAiError>;

const listedModel = {
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('Unix seconds.'),
  owned_by: z.string(),
};
export const ModelListSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(z.strictObject(listedModel)),
});

const Specs = z.array(
  z.object({ name: z.string(), type: z.string(), shape: z.array(z.union([z.number(), z.string()])) }),
);
const limit = Count.nullable();
export const ModelCardSchema = z.strictObject({
  ...listedModel,
  task: Task,
  version: z.string(),
  variants: z.array(z.string()),
  description: z.string().exactOptional(),
  license: z.string().exactOptional(),
  limits: z.object({ max_tokens: limit, max_items: Count, max_batch_size: limit, max_batch_tokens: limit }),
  joining: Joining.nullable(),
  labels: z.array(z.string()).exactOptional(),
  dimensions: Count.exactOptional(),
  inputs: Specs.exactOptional(),
  outputs: Specs.exactOptional(),
  example: z.object({ request: z.unknown(), curl: z.string() }),
}) satisfies z.ZodType<ModelCard>;
