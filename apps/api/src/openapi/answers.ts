/** Answers of the native API as schemas, for the document and for tests. The compiler holds each to the type that the API sends. */
import {
  type AccuracyLoss,
  ERRORS,
  type ErrorCode,
  type EventsUrlView,
  type JobError,
  type JobReceipt,
  JobState,
  type JobSummary,
  type JobView,
  LossMetric,
  Priority,
  Task,
  WebhookEvent,
} from '@shoal/contracts';
import { z } from 'zod';
import type { Problem } from '../http/problem.js';
import type { BulkEntry } from '../jobs/bulk.controller.js';

export const Code = z
  .enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]])
  .describe('What is wrong, as one word for programs.');
export const Count = z.int().min(0);
const Time = z.iso.datetime();
const Milliseconds = z.number().min(0);
const Title = z.string().describe('What is wrong, the same for every error of this code.');
const Detail = z.string().describe('What is wrong with this request or item, and what to do.');
const Retryable = z.boolean().describe('Whether the same request may succeed later.');

const jobError = { code: Code, title: Title, detail: Detail, retryable: Retryable };
export const JobErrorSchema = z.object(jobError) satisfies z.ZodType<JobError>;

const receipt = {
  id: z.string().describe('The id of the job.'),
  object: z.literal('job').describe('What this is.'),
  status: JobState.describe('Where the job stands. The last four are ends: nothing changes after them.'),
  links: z
    .object({
      self: z.string().describe('The job itself: GET reads it, DELETE erases it.'),
      cancel: z.string().describe('POST cancels the job.'),
      events: z.string().describe('GET follows the job as server-sent events.'),
    })
    .describe('Paths of this API for the job.'),
};
export const JobReceiptSchema = z.strictObject(receipt) satisfies z.ZodType<JobReceipt>;

export const AccuracyLossSchema = z.strictObject({
  metric: LossMetric.describe('What the loss is counted in; docs/accuracy.md has the metrics.'),
  mean: z.number().describe('Of the texts that it was measured on. Below 0: better than the original.'),
  bound: z
    .number()
    .describe('The upper 95 % bound of the mean over texts like these: what `max_accuracy_loss` is held against.'),
}) satisfies z.ZodType<AccuracyLoss>;

const summary = {
  ...receipt,
  model: z.string().describe('The model that was asked for.'),
  version: z.string().describe('The version that the job runs on: the newest when it was submitted.'),
  variant: z.string().describe('The variant that it runs on, such as fp32 or int8.'),
  accuracy_loss: AccuracyLossSchema.nullable().describe(
    'How much worse than the original the variant was measured to be that was chosen by `max_accuracy_loss`; null: it is the original, or was chosen otherwise (the card of the model tells what each variant loses).',
  ),
  task: Task.describe("The model's task."),
  priority: Priority.describe('As it was submitted.'),
  created_at: Time.describe('When the job was accepted.'),
  started_at: Time.nullable().describe('When a worker took the first of its items; null as long as none has.'),
  ended_at: Time.nullable().describe('When it ended; null until then.'),
  expires_at: Time.nullable().describe('When the record and its output are forgotten; null until the end.'),
  deadline: Time.nullable().describe('When it expires if it has not ended; null where it has no deadline.'),
  metadata: z.record(z.string(), z.string()).describe('As it was submitted.'),
  webhook: z
    .object({
      url: z.string().describe('Where events are sent.'),
      events: z.array(WebhookEvent).describe('Which ones.'),
    })
    .nullable()
    .describe('Where events of this job go, beside your webhook endpoints.'),
  items: z
    .object({
      total: Count.describe('How many there are.'),
      done: Count.describe('How many have an output or an error.'),
      failed: Count.describe('How many have an error.'),
    })
    .describe('The items of the job: one, or those of its array.'),
  error: JobErrorSchema.nullable().describe("The job's own error; errors of single items of an array are in `errors`."),
  usage: z
    .object({ input_tokens: Count.describe('Tokens of all items; of tensors, 64 per row.') })
    .describe('What the job took.'),
};
export const JobSummarySchema = z.strictObject(summary) satisfies z.ZodType<JobSummary>;

export const JobSchema = z.strictObject({
  ...summary,
  output: z
    .unknown()
    .describe('One output, or one per item in the order of the input, null where the item failed. Null until the end.'),
  errors: z
    .array(z.object({ ...jobError, index: Count.describe('Which item, from 0.') }))
    .describe('Errors of single items of an array.'),
  timings: z
    .object({
      queued_ms: Milliseconds.describe('Waiting in Redis.'),
      batching_ms: Milliseconds.describe('Waiting for its micro-batch.'),
      running_ms: Milliseconds.describe('In the forward pass.'),
    })
    .nullable()
    .describe('Of the item that ended last, in ms.'),
  batches: z
    .array(
      z.object({
        size: Count.describe('Items of the micro-batch, of any job.'),
        padded_share: z.number().min(0).max(1).describe('Share of its tokens that was padding, 0 to 1.'),
        closed_by: z
          .enum(['idle', 'size', 'tokens', 'delay', 'alone'])
          .describe('Why it stopped growing: the device was idle, it was full, it had waited, or it had to run alone.'),
        items: Count.describe("How many of its items were this job's."),
      }),
    )
    .describe('The micro-batches that the items ran in.'),
  attempts: Count.describe('How often the item that was tried most was tried.'),
  queue: z
    .strictObject({
      position: z
        .int()
        .min(1)
        .describe(
          'Whose turn the beginning of the job has in the fair order, as things stand: 1 is next. Counted are units of work: one answer to be generated, else up to 64 items that travel together, of one job or several. Jobs of higher priority and of callers with less under way may still come before it.',
        ),
      expected_start_at: Time.nullable().describe(
        'When that is, if work goes on as fast as in the last half minute of it; null where nothing has ended to tell it from.',
      ),
    })
    .nullable()
    .describe('Where the job stands among those that wait for its model; null once it has started.'),
}) satisfies z.ZodType<JobView>;

export const ListSchema = z.literal('list').describe('What this is.');
const page = {
  has_more: z.boolean().describe('Whether another page follows.'),
  next_cursor: z.string().nullable().describe('The `cursor` of the next page; null where none follows.'),
};
export const JobListSchema = z.strictObject({
  object: ListSchema,
  data: z.array(JobSummarySchema).describe('The jobs of this page, newest first, without their outputs.'),
  ...page,
});

export const EventsUrlSchema = z.strictObject({
  object: z.literal('events_url').describe('What this is.'),
  url: z.string().describe('A path with its query, on this server.'),
  expires_at: Time.describe('No stream can be opened from here on; one that is open goes on.'),
}) satisfies z.ZodType<EventsUrlView>;

export const ProblemSchema = z
  .strictObject({
    type: z.string().describe('`urn:shoal:error:` and the code.'),
    title: Title,
    status: z.int().describe('The HTTP status.'),
    detail: Detail,
    code: Code,
    retryable: Retryable,
    errors: z
      .array(
        z.object({
          path: z.string().describe('Where it is: `input[3].query`; the whole body is `body`.'),
          message: z.string().describe('What is wrong there.'),
        }),
      )
      .describe('The faults of the request.'),
    instance: z.string().describe('The id of the request, as in X-Request-Id.'),
  })
  .describe('Problem details (RFC 9457).') satisfies z.ZodType<Problem>;

const bulkEntry = {
  index: Count.describe('Which job of the call, from 0.'),
  status: z.int().describe('The HTTP status that the job would have had by itself.'),
};
export const BulkAnswerSchema = z.strictObject({
  object: ListSchema,
  data: z
    .array(
      z.union([
        z.strictObject({ ...bulkEntry, job: JobReceiptSchema.describe('The job that was accepted.') }),
        z.strictObject({ ...bulkEntry, error: ProblemSchema.describe('Why it was refused.') }),
      ]) satisfies z.ZodType<BulkEntry>,
    )
    .describe('One entry per job, in the order of the call.'),
  accepted: Count.describe('How many were accepted.'),
  refused: Count.describe('How many were refused.'),
});

export const HealthSchema = z.strictObject({
  status: z.enum(['ok', 'ready', 'not ready']).describe('How the process is.'),
  reason: z.string().exactOptional().describe('Why it is not ready.'),
});
