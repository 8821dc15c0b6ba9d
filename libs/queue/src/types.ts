/** What callers of this lib hand in and get back. The Redis layout behind it is docs/redis.md. */
import type { ItemResult, JobMeta, JobRecord, JobState, Joining, TextPiece, WireItem } from '@shoal/contracts';
import type { Demand } from './demand.js';
import type { EventFilter } from './webhooks/types.js';

/** Whoever an API key belongs to. `weight` is its share of the work relative to other tenants. */
export interface Tenant {
  readonly name: string;
  readonly weight: number;
}

export interface NewJob {
  /** The last part of its id; drawn where left out. */
  readonly ulid?: string;
  /** `<model>.<version>.<variant>.<shard>`, see keys.ts. */
  readonly queue: string;
  readonly tenant: Tenant;
  readonly meta: JobMeta;
  readonly items: readonly WireItem[];
  /** Tokens of each item: its length when micro-batches are formed, and its cost unless its bytes weigh more. */
  readonly tokens: readonly number[];
  /**
   * Most tokens that the answer to each item can have, where items are generated from. Each is then a chunk of its own, and
   * charged for its tokens and as many of its answer as answers of this queue have on average, until it is known how many.
   */
  readonly answers?: readonly number[];
  /** Upper estimate of the stored result in bytes; reserved until the job ends. */
  readonly resultBytes: number;
  /** Unix ms, or ms from now by Redis's clock. */
  readonly deadline?: { readonly at: number } | { readonly in: number };
  /** How long the job is kept after its end. */
  readonly retentionMs: number;
  /** Which of its events go to the outbox, for webhooks. */
  readonly webhookEvents?: EventFilter;
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

/**
 * Newest first. `results` of listed records are left out (all null). Records that match may be rare: a page can have less
 * than was asked for, even nothing, and still a `next`.
 */
export interface JobPage {
  readonly records: readonly JobRecord[];
  readonly next: string | null;
}

export interface QueueDepth {
  readonly queue: string;
  readonly jobs: number;
  readonly tokens: number;
  /** Jobs that have ended since the queue was made, by final state. */
  readonly ended: Readonly<Record<'completed' | 'failed' | 'cancelled' | 'expired', number>>;
}

/** An output of an array. `seq` counts the job's items from 1 in the order in which they were published. */
export interface JobPart {
  readonly seq: number;
  /** Place of the item in the caller's input. */
  readonly index: number;
  readonly result: ItemResult;
}

/** A piece of an answer that is being generated. `seq` counts the job's pieces from 1 in the order in which they were written. */
export interface JobPiece {
  readonly seq: number;
  /** Place of the item in the caller's input. */
  readonly index: number;
  readonly piece: TextPiece;
}

/** What a follower has had: the number of its last part and of its last piece, 0 before the first. */
export interface FollowPosition {
  readonly parts: number;
  readonly pieces: number;
}

/**
 * How a job stands, and the parts and pieces that have come since the last look. Its results are left out (all null), but for the end
 * of a job that is no array.
 */
export interface JobProgress {
  readonly record: JobRecord;
  readonly parts: readonly JobPart[];
  readonly pieces: readonly JobPiece[];
  /** There was more than one look holds: the next one comes at once. */
  readonly more: boolean;
  /** Nothing comes after it: the job has ended, and all of its parts and pieces were given. */
  readonly last: boolean;
}

/** Where a job that waits stands. */
export interface QueuePlace {
  /**
   * Whose turn its first chunk has, as things stand: 1 is next. Exact to a quantum of the fair order: those that are closer to
   * each other than that share a place.
   */
  readonly position: number;
  /** When that is expected, in Unix ms by Redis's clock; null where nothing has ended lately to tell it from. */
  readonly startsAt: number | null;
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
  /** Where the job stands among those that wait; null where it does not wait, or is not this tenant's. */
  place(tenant: string, id: string): Promise<QueuePlace | null>;
  /**
   * The record as soon as it is terminal, or as it stands after `ms` or when `signal` aborts. While Redis is away it waits;
   * throws `redis_unavailable` from the first look, and where Redis is still away at the end.
   */
  wait(tenant: string, id: string, ms: number, signal?: AbortSignal): Promise<JobRecord>;
  /**
   * Looks at the job now and whenever it has moved on, until it has ended and all its parts and pieces after `after` were
   * given (all parts, where an element of the input makes several rows), or `signal` aborts. Of what comes while nobody asks
   * only so much is kept, the rest is read when it is asked for: a slow reader costs little memory. While Redis is away it
   * waits; throws `job_not_found`, and `redis_unavailable` from the first look only.
   */
  follow(tenant: string, id: string, after: FollowPosition, signal: AbortSignal): AsyncGenerator<JobProgress, void>;
  /** Ends the job as cancelled unless it has ended; the record as it then stands. */
  cancel(tenant: string, id: string): Promise<JobRecord>;
  /** Cancels if need be, then erases record, input and output. */
  remove(tenant: string, id: string): Promise<void>;
  /** Looks no further once `signal` aborts. Throws `invalid_request` where the cursor is none. */
  list(tenant: string, filter: JobFilter, signal?: AbortSignal): Promise<JobPage>;
  /** The queue that the job of an Idempotency-Key is in, or was to be; null where the key is free. */
  queueOfKey(tenant: string, key: string): Promise<string | null>;
  /**
   * Seconds until what a queue has now will have ended, at the speed of about the last half minute of work; at least as many as work
   * has waited there while nothing ended, which is all that is known where no speed is. At most 200 ms old while Redis answers.
   */
  delay(queue: string): number;
  /** Unfinished jobs and their tokens per queue, and how many have ended, at most 200 ms old while Redis answers. */
  depths(): readonly QueueDepth[];
  /** What the autoscaling number of a queue is made of, read now. */
  demand(queue: string): Promise<Demand>;
  /** What the worker that loaded the model last proved of its rows; null where none has loaded it yet. */
  joining(queue: string): Promise<Joining | null>;
  /** Rejects where Redis does not answer. */
  ping(): Promise<void>;
}
