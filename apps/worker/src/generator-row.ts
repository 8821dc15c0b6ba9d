/** An item of a generator from when it is taken to its outcome, and what is published of it at its end. */
import { ShoalError } from '@shoal/contracts';
import type { Finish } from '@shoal/generation';
import { type ClaimedItem, type Finished, type Outcome, toJobError } from '@shoal/queue';
import type { Answer } from './answer.js';
import { promptOf, settingsOf } from './generation-request.js';
import { refusedItem } from './refused-item.js';
import { retryAfterMs } from './retry.js';

export interface Row {
  readonly item: ClaimedItem;
  readonly answer: Answer;
  readonly takenAt: number;
  readonly settle: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
  /** The engine's number for it; null while it waits. */
  id: number | null;
  startedAt: number;
  /** When its latest token came, and how long the first one took from `startedAt` on. */
  grownAt: number;
  prefillMs: number;
  /** Rows that ran when it began. */
  besides: number;
  finish: Finish | Error | null;
  /** It is to be returned, from the tokens that are there. */
  leaving: boolean;
  followed: boolean;
  /** It has begun, and a strike is counted should this process end (PROVEN_TOKENS). */
  unproven: boolean;
  writtenAt: number;
  over: boolean;
}

/** A row that waits. `at`: when its item was taken. */
export function newRow(item: ClaimedItem, answer: Answer, at: number, told: Pick<Row, 'settle' | 'fail'>): Row {
  return {
    ...{ item, answer, takenAt: at, ...told, id: null, startedAt: 0, grownAt: 0, prefillMs: 0, besides: 0 },
    ...{ finish: null, leaving: false, followed: false, unproven: false, writtenAt: at, over: false },
  };
}

/** Of time and of randomness. */
interface Sources {
  readonly now: () => number;
  readonly random: () => number;
}

const FAILED = 'the model could not process this input';

export function resultOf(
  { item, answer, finish, takenAt, startedAt, besides }: Row,
  { now, random }: Sources,
): Finished {
  const receipt = {
    batchId: Math.floor(random() * 2 ** 48).toString(36),
    batchSize: besides + 1,
    paddedShare: 0,
    closedBy: 'idle' as const,
    queuedMs: item.queuedMs,
    batchingMs: startedAt - takenAt,
    runningMs: now() - startedAt,
    attempts: item.attempts + 1,
  };
  if (!(finish instanceof Error)) {
    const { stop_token_ids: ownStops, echo } = settingsOf(item);
    const output = answer.output(finish!, ownStops, echo ? promptOf(item).ids : null);
    return { item, result: { receipt, output }, used: output.ids.length };
  }
  const error = finish instanceof ShoalError ? finish : new ShoalError('inference_failed', FAILED, { cause: finish });
  if (error.retryable && retryAfterMs(item.attempts, () => 0) !== null) return { item };
  return { item, result: { receipt, error: toJobError(error) }, used: answer.length };
}

/** An item that has ended its process so many times, and is not run again. */
export function givenUp(item: ClaimedItem, strikes: number): Finished {
  return refusedItem(
    item,
    new ShoalError('worker_crashed', `running this input ended its worker process ${strikes} times`),
  );
}
