/** What callers of this lib hand in and get back. The Redis layout behind it is docs/redis.md. */
import type { CloseReason, JobError, JobState, Priority, Task, WireItem, WireOutput } from '@shoal/contracts';

/** Whoever an API key belongs to. `weight` is its share of the work relative to other tenants. */
export interface Tenant {
  readonly name: string;
  readonly weight: number;
}

/** What the API needs to show a job again; workers read `task` and `parameters`. */
export interface JobMeta {
  readonly model: string;
  readonly version: string;
  readonly variant: string;
  readonly task: Task;
  readonly priority: Priority;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** True where the input was an array, so that the output is one too. */
  readonly array: boolean;
  /** Rows per input element where an element makes several (rerank: one per document). */
  readonly groups?: readonly number[];
}

export interface NewJob {
  /** `<model>.<version>.<variant>.<shard>`, see keys.ts. */
  readonly queue: string;
  readonly tenant: Tenant;
  readonly meta: JobMeta;
  readonly items: readonly WireItem[];
  /** Tokens of each item: its cost in fair queueing and its length when micro-batches are formed. */
  readonly tokens: readonly number[];
  /** Upper estimate of the stored result in bytes; reserved until the job ends. */
  readonly resultBytes: number;
  /** Unix ms, or ms from now by Redis's clock. */
  readonly deadline?: { readonly at: number } | { readonly in: number };
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
}

export interface Admitted {
  readonly id: string;
  /** False where an earlier submission with the same Idempotency-Key made the job. */
  readonly created: boolean;
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
  /** Set where the job as a whole did not complete. */
  readonly error: JobError | null;
  /** By item; null where the item has no result (yet). */
  readonly results: readonly (ItemResult | null)[];
}

export interface JobFilter {
  readonly status?: JobState;
  readonly model?: string;
  readonly limit: number;
  /** From the `next` of the page before. */
  readonly cursor?: string;
}

/** Newest first. `results` of listed records are left out (all null). */
export interface JobPage {
  readonly records: readonly JobRecord[];
  readonly next: string | null;
}

export interface QueueDepth {
  readonly queue: string;
  readonly jobs: number;
  readonly tokens: number;
}

/** The API's side of the queue. Every method throws ShoalError; `redis_unavailable` within 2 s where Redis is away. */
export interface JobStore {
  /**
   * Admits jobs; one entry per job, in order: what was admitted or why not. Jobs are independent of each other.
   * `watch`: the caller goes on to `wait` for every admitted job, which then costs one read less.
   */
  submit(jobs: readonly NewJob[], options?: { readonly watch?: boolean }): Promise<(Admitted | Error)[]>;
  /** The record, or `job_not_found` where it is not there or not this tenant's. */
  get(tenant: string, id: string): Promise<JobRecord>;
  /** The record as soon as it is terminal, or as it stands after `ms` or when `signal` aborts. */
  wait(tenant: string, id: string, ms: number, signal?: AbortSignal): Promise<JobRecord>;
  /** Ends the job as cancelled unless it has ended; the record as it then stands. */
  cancel(tenant: string, id: string): Promise<JobRecord>;
  /** Cancels if need be, then erases record, input and output. */
  remove(tenant: string, id: string): Promise<void>;
  list(tenant: string, filter: JobFilter): Promise<JobPage>;
  /** Unfinished jobs and their tokens per queue, at most 200 ms old while Redis answers. */
  depths(): readonly QueueDepth[];
  /** Rejects where Redis does not answer. */
  ping(): Promise<void>;
}
