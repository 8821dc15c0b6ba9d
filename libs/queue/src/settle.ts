/** What becomes of a chunk when its items have their outcomes. What is left of it is all that a later claim finds: the rest is in the record. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { backoffMs } from './backoff.js';
import type { Chunk } from './chunks.js';
import type { Outcome } from './engine.js';

export type Settlement =
  | { readonly kind: 'complete' }
  /** Back to where it was in the fair order. */
  | { readonly kind: 'return' }
  | { readonly kind: 'delay'; readonly until: number };

export function settlementOf(outcomes: readonly Outcome[], now: number): Settlement {
  if (outcomes.some(({ kind }) => kind === 'returned')) return { kind: 'return' };
  const pauses = outcomes.flatMap((outcome) => (outcome.kind === 'retry' ? [outcome.afterMs] : []));
  return pauses.length > 0 ? { kind: 'delay', until: now + Math.min(...pauses) } : { kind: 'complete' };
}

/** BullMQ's codes for a job that is gone, or locked by somebody else, or by nobody: it was settled before, or is another's. */
const NOT_OURS = new Set<unknown>([-1, -2, -3, -6]);

export interface SettleOptions {
  /** Whether to fetch the next chunk in the same round trip, should there be one. */
  readonly fetchNext: boolean;
  /** True once somebody else may have the chunk. */
  readonly isLost: () => boolean;
  readonly onError: (error: Error) => void;
}

/** What BullMQ fetched on the way, as its scripts return it. */
export type RawJob = Parameters<typeof Job.fromJSON>[1];
export type FetchedRaw = { readonly data: RawJob; readonly id: string } | null;

/** Repeats what Redis refuses, for as long as the lock is held. */
export async function settle(
  job: Job<Chunk>,
  token: string,
  settlement: Settlement,
  { fetchNext, isLost, onError }: SettleOptions,
): Promise<FetchedRaw> {
  for (let attempt = 0; !isLost(); attempt++) {
    try {
      switch (settlement.kind) {
        case 'complete':
          return parseNext(await job.moveToCompleted(undefined, token, fetchNext));
        case 'return':
          await job.moveToWait(token);
          return null;
        case 'delay':
          await job.moveToDelayed(settlement.until, token);
          return null;
      }
    } catch (error) {
      onError(error as Error);
      if (NOT_OURS.has((error as { readonly code?: unknown }).code)) return null;
      await pause(backoffMs(attempt));
    }
  }
  return null;
}

function parseNext(reply: unknown): FetchedRaw {
  const [data, id] = (reply ?? []) as [data?: RawJob | null, id?: string];
  return data && id ? { data, id } : null;
}
