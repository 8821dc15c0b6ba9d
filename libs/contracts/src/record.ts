/** A job as it stands in its record: what the queue keeps and hands out, and what views are made of. */
import type { CloseReason, JobError, JobState, Priority } from './job.js';
import type { Task } from './model.js';
import type { AccuracyLoss } from './quality.js';
import type { JobWebhook } from './webhook.js';
import type { WireOutput } from './wire.js';

/** What the API needs to show a job again; workers read `task` and `parameters`. */
export interface JobMeta {
  readonly model: string;
  readonly version: string;
  readonly variant: string;
  /** What asks for exactly this version and variant, where the job was submitted by another name than the model's own. */
  readonly selector?: string;
  /** What the variant was measured to lose when it was chosen by that; left out: it was not, or is the original. */
  readonly accuracyLoss?: AccuracyLoss;
  /** SHA-256 of the graph that was measured so: no other one answers the job. */
  readonly graph?: string;
  readonly task: Task;
  readonly priority: Priority;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** True where the input was an array, so that the output is one too. */
  readonly array: boolean;
  /** Rows per input element where an element makes several (rerank: one per document). */
  readonly groups?: readonly number[];
  /** Tokens of all items, where the job is charged for its answers as well. */
  readonly inputTokens?: number;
  readonly webhook?: JobWebhook;
  /** W3C traceparent of the span that enqueued the job, where its trace is kept. */
  readonly trace?: string;
}

/** How one item went: what ran it and how long each stage took. */
export interface ItemReceipt {
  /** Same number for items of one micro-batch. */
  readonly batchId: string;
  readonly batchSize: number;
  readonly paddedShare: number;
  readonly closedBy: CloseReason;
  readonly queuedMs: number;
  readonly batchingMs: number;
  readonly runningMs: number;
  readonly attempts: number;
}

export type ItemResult = { readonly receipt: ItemReceipt } & (
  | { readonly output: WireOutput; readonly error?: undefined }
  | { readonly error: JobError; readonly output?: undefined }
);

export interface JobRecord {
  readonly id: string;
  readonly tenant: string;
  readonly state: JobState;
  readonly meta: JobMeta;
  /** Times are Redis's clock in Unix ms. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** When the record is forgotten; null while the job runs. */
  readonly expiresAt: number | null;
  readonly deadline: number | null;
  readonly tokens: number;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  /** Bytes of the results as they are stored; 0 while there are none, and for jobs of earlier versions. */
  readonly resultBytes: number;
  /** Set where the job as a whole did not complete. */
  readonly error: JobError | null;
  /** By item; null where the item has no result (yet). */
  readonly results: readonly (ItemResult | null)[];
}
