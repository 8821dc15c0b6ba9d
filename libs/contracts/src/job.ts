/** A job as its caller sees it: what is submitted, and what is told of it. */
import { z } from 'zod';
import { mapOf } from './bounded.js';
import type { ErrorCode } from './errors.js';
import { Task } from './model.js';
import { type AccuracyLoss, MaxAccuracyLoss } from './quality.js';
import { listOf, requestObject } from './request.js';
import { type WebhookEvent, WebhookRequest } from './webhook.js';

/** Most items of one job, and most jobs of one bulk call. */
export const MAX_ITEMS = 1000;
export const MAX_WAIT_SECONDS = 60;
/** Most bytes of one job's result in Redis. */
export const MAX_RESULT_BYTES = 8 * 1024 * 1024;
/** Most bytes of a request's body, unless the server is set up for another limit. */
export const MAX_BODY_BYTES = 2 * 1024 * 1024;
export const MAX_BODY_DEPTH = 100;

export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled', 'expired'] as const;
export const JobState = z.enum(JOB_STATES);
export type JobState = z.infer<typeof JobState>;

export function isTerminal(state: JobState): boolean {
  return state !== 'queued' && state !== 'running';
}

export const PRIORITIES = ['low', 'normal', 'high'] as const;
export const Priority = z.enum(PRIORITIES);
export type Priority = z.infer<typeof Priority>;

const Deadline = z
  .union(
    [
      z
        .number()
        .positive()
        .max(7 * 24 * 3600),
      z.iso.datetime({ offset: true }),
    ],
    {
      error: 'give seconds from now (at most 604800) or an RFC 3339 time with an offset',
    },
  )
  .meta({
    description:
      'When the job has lost its use: seconds from now, or an RFC 3339 time with an offset. What has not ended by then expires.',
    examples: [30, '2026-01-05T09:30:00Z'],
  });

/** Longest time in seconds that an ended job is kept. */
export const MAX_RETENTION_SECONDS = 30 * 24 * 3600;
const RETENTION_FAULT = `give whole seconds from 60 to ${MAX_RETENTION_SECONDS}`;

const Metadata = mapOf(z.string().max(512), 16, 64).meta({
  description: 'Up to 16 texts of your own, given back with the job.',
  examples: [{ order: '4711' }],
});

/** A model as callers name it. What no model is called is told by the catalog, with the names that are near. */
export const RequestedModel = z
  .string()
  .min(1)
  .meta({
    description: 'The name of a model; `GET /v1/models` lists them.',
    examples: ['wordnet-topic'],
  });

/** `POST /v1/jobs`. `input` and `parameters` are checked against the model's task. */
export const JobRequest = requestObject({
  model: RequestedModel,
  input: z
    .unknown()
    .refine((value) => value !== undefined, 'required')
    .describe(`What the model's task takes: one item, or an array of up to ${MAX_ITEMS}.`),
  task: Task.optional().describe(
    'The task that you expect of the model; a job for a model of another task is refused.',
  ),
  parameters: z.record(z.string(), z.unknown()).optional().describe("Parameters of the model's task."),
  max_accuracy_loss: MaxAccuracyLoss,
  priority: Priority.default('normal').describe('How your jobs stand among each other.'),
  deadline: Deadline.optional(),
  metadata: Metadata.optional(),
  retention: z
    .int({ error: RETENTION_FAULT })
    .min(60, RETENTION_FAULT)
    .max(MAX_RETENTION_SECONDS, RETENTION_FAULT)
    .optional()
    .meta({
      description: "Seconds that the job is kept after its end; the server's default, a day, where left out.",
      examples: [3600],
    }),
  webhook: WebhookRequest.optional(),
});
export type JobRequest = z.infer<typeof JobRequest>;

/** Longest time in seconds that a signed address of a job's events is open; a stream that is open by then goes on. */
export const MAX_EVENTS_URL_SECONDS = 3600;

/** `POST /v1/jobs/{id}/events/url`. */
export const EventsUrlRequest = requestObject({
  expires_in: z
    .int()
    .min(1)
    .max(MAX_EVENTS_URL_SECONDS)
    .default(300)
    .meta({ description: 'Seconds that a stream can be opened.', examples: [60] }),
});

export interface EventsUrlView {
  readonly object: 'events_url';
  /** A path with its query, on this server. */
  readonly url: string;
  readonly expires_at: string;
}

/** `POST /v1/jobs/bulk`. Each entry is a JobRequest, checked and answered by itself. */
export const BulkRequest = requestObject({
  jobs: listOf(z.unknown(), MAX_ITEMS, 'jobs').describe('The jobs, each as `POST /v1/jobs` takes it.'),
});

/** One error as it stands inside a job: the same code, title and detail as a problem answer would have. */
export interface JobError {
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail: string;
  readonly retryable: boolean;
}

/** One micro-batch that items of the job ran in. */
export interface BatchReceipt {
  readonly size: number;
  /** Share of the batch's tokens that was padding, 0 to 1. */
  readonly padded_share: number;
  readonly closed_by: CloseReason;
  /** How many of its items were this job's. */
  readonly items: number;
}

/** Why a micro-batch stopped growing: the device was idle, it was full (rows or tokens), or it had waited long enough. */
export type CloseReason = 'idle' | 'size' | 'tokens' | 'delay' | 'alone';

/** Where a job stands among those that wait for the same model. */
export interface QueueView {
  /** 1: it is next. */
  readonly position: number;
  readonly expected_start_at: string | null;
}

export interface JobView {
  readonly id: string;
  readonly object: 'job';
  readonly status: JobState;
  readonly model: string;
  readonly version: string;
  readonly variant: string;
  /** What the variant was measured to lose; null: it was not chosen by that, or is the original. */
  readonly accuracy_loss: AccuracyLoss | null;
  readonly task: Task;
  readonly priority: Priority;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly expires_at: string | null;
  readonly deadline: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where events of this job go, beside the tenant's endpoints. */
  readonly webhook: { readonly url: string; readonly events: readonly WebhookEvent[] } | null;
  readonly items: { readonly total: number; readonly done: number; readonly failed: number };
  /** One output, or one per item in the order of the input with null where the item failed. Null until terminal. */
  readonly output: unknown;
  /** The job's own error (one item, cancelled, expired). */
  readonly error: JobError | null;
  /** Errors of single items of an array. */
  readonly errors: readonly (JobError & { readonly index: number })[];
  readonly usage: { readonly input_tokens: number };
  /** Of the item that ended last, in ms: waiting in Redis, waiting for its batch, in the forward pass. */
  readonly timings: { readonly queued_ms: number; readonly batching_ms: number; readonly running_ms: number } | null;
  readonly batches: readonly BatchReceipt[];
  readonly attempts: number;
  /** Of a job that waits. */
  readonly queue: QueueView | null;
  readonly links: { readonly self: string; readonly cancel: string; readonly events: string };
}

/** What the answer to a submission tells; GET tells the rest. */
export type JobReceipt = Pick<JobView, 'id' | 'object' | 'status' | 'links'>;

/** A job in a list or an event: results are left out, GET has them. */
export type JobSummary = Omit<JobView, 'output' | 'errors' | 'timings' | 'batches' | 'attempts' | 'queue'>;
