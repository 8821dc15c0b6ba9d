/** What callers of this lib hand in and get back. The Redis layout behind it is docs/redis.md. */
import type { JobMeta, JobRecord, JobState, WireItem } from '@shoal/contracts';

/** Whoever an API key belongs to. `weight` is its share of the work relative to other tenants. */
export interface Tenant {
  readonly name: string;
  readonly weight: number;
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
