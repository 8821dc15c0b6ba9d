/** Between a queue and what computes its items: what an engine is given, what it says of it, and what it must be able to do. */
import type { Task, WireItem } from '@shoal/contracts';

/** The chunk an item came with; its lock token is the fence for everything written about the item. */
export interface ChunkLock {
  readonly id: string;
  readonly token: string;
  /** Its place in the fair order: the start tag that it got, or where it went back to. */
  readonly tag: number;
}

/** An AbortSignal in small: a flag, and one listener for who cannot look; the real one costs more than the item. */
export class Dropped {
  aborted = false;
  onAbort: (() => void) | undefined;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.onAbort?.();
  }
}

/** One item that this worker holds. */
export interface ClaimedItem {
  readonly jobId: string;
  readonly tenant: string;
  /** 1 is the best (chunks.ts). An item of a worse one makes way for one of the same tenant. */
  readonly rank: number;
  readonly ulid: string;
  readonly slice: number;
  readonly n: number;
  readonly lock: ChunkLock;
  /** Set when the job was cancelled, expired or deleted, or when the lock was lost: one for all items of a job and chunk. */
  readonly dropped: Dropped;
  readonly item: WireItem;
  /** In tokens: what padding is computed from. What the item is charged for may be more; that is admission's business. */
  readonly length: number;
  readonly task: Task;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Forward passes that never ended: above 0, the item may have ended a process. */
  readonly strikes: number;
  /** Attempts that failed with a retryable error. */
  readonly attempts: number;
  /** Tokens of its answer that are written already: `Publisher.written` has them. */
  readonly written: number;
  /** From creation to claim, by Redis's clock. */
  readonly queuedMs: number;
  /** Traceparent of the span that enqueued the job, where its trace is kept. */
  readonly trace?: string | undefined;
  /** SHA-256 of the graph that the job was accepted for; left out: of whichever its variant has. */
  readonly graph?: string | undefined;
}

/**
 * What became of an item: published (or nothing to publish), to be tried again after a pause, or returned to the queue as it
 * is, without a strike or an attempt: because the worker drains, or because something more urgent took its place.
 */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'returned' };

/** What an engine can still take. */
export interface Room {
  readonly items: number;
  readonly tokens: number;
}

/** Where a chunk stands in the fair order, whose it is, and where among what is theirs. */
export interface Place {
  readonly tag: number;
  readonly tenant: string;
  readonly rank: number;
}

/** Computes items of one model and publishes what comes of them: in micro-batches, or row by row as a generator does. */
export interface Engine {
  /** Asked before each fetch: an engine without room holds nothing that another worker could run. */
  room(): Room;
  /** Whether what stands there has precedence over what waits here; never where nothing does. */
  isPreceded(by: Place): boolean;
  /** Resolves when the item needs this worker no more. */
  take(item: ClaimedItem): Promise<Outcome>;
  /** Starts nothing more: returns what has not started, lets run and be published what has. Resolves when all is settled. */
  drain(): Promise<void>;
  /** Frees the model. After `drain`. */
  close(): Promise<void>;
}
