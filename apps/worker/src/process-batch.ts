/** One micro-batch from start to end: begin (strikes), forward pass, publish (the fence). */

import { type Batch, paddedShare, runSplitting } from '@shoal/batching';
import { type ItemReceipt, ShoalError, type WireOutput } from '@shoal/contracts';
import type { ModelRunner } from '@shoal/models';
import { type ClaimedItem, type Finished, type Outcome, type Publisher, toJobError } from '@shoal/queue';
import { retryAfterMs } from './retry.js';

/** Forward passes that never ended, after which an item counts as what ends its worker. */
const MAX_STRIKES = 3;

export interface BatchStages {
  readonly runner: ModelRunner;
  readonly publisher: Publisher;
  readonly random: () => number;
  /** What ran and how long it took, for metrics. */
  readonly onRun: (ran: BatchRun) => void;
  readonly onPublished: (ran: BatchRun, ms: number) => void;
}

export interface BatchRun {
  readonly items: readonly ClaimedItem[];
  readonly closedBy: Batch<unknown>['closedBy'];
  readonly lengths: readonly number[];
  readonly paddedShare: number;
  /** From when it was formed to the start of its forward pass: Redis marks what is in it. */
  readonly beginMs: number;
  readonly runningMs: number;
  readonly receipts: readonly ItemReceipt[];
  /** By item; undefined where it has an output. */
  readonly errors: readonly (ShoalError | undefined)[];
}

type Waiting = Batch<ClaimedItem>['items'][number];

/** One outcome per item of the batch, in order. `deviceFree` is called as soon as the next batch may start. */
export async function processBatch(
  batch: Batch<ClaimedItem>,
  deviceFree: () => void,
  stages: BatchStages,
): Promise<Outcome[]> {
  const formed = performance.now();
  const verdicts = await stages.publisher.begin(batch.items.map(({ value }) => value));
  const live = batch.items.filter((_, i) => verdicts[i] === 1);
  const outcomes = new Map<ClaimedItem, Outcome>();
  if (live.length > 0) {
    const { ran, finished } = await runBatch(batch.closedBy, live, performance.now() - formed, stages);
    deviceFree();
    const started = performance.now();
    await stages.publisher.publish(finished);
    stages.onPublished(ran, performance.now() - started);
    for (const { item, result } of finished) {
      const afterMs = result ? null : retryAfterMs(item.attempts, stages.random);
      if (afterMs !== null) outcomes.set(item, { kind: 'retry', afterMs });
    }
  }
  return batch.items.map(({ value }) => outcomes.get(value) ?? { kind: 'done' });
}

async function runBatch(
  closedBy: Batch<unknown>['closedBy'],
  live: readonly Waiting[],
  beginMs: number,
  { runner, random, onRun }: BatchStages,
): Promise<{ readonly ran: BatchRun; readonly finished: readonly Finished[] }> {
  const started = performance.now();
  const outputs = await runSplitting(live, (rows) => runRows(runner, rows), isDeviceFailure);
  const runningMs = performance.now() - started;
  const lengths = live.map(({ length }) => length);
  const batchId = Math.floor(random() * 2 ** 48).toString(36);
  const padded = paddedShare(lengths);
  const items = live.map(({ value }) => value);
  const receipts = live.map(
    ({ value, waitedMs }): ItemReceipt => ({
      batchId,
      batchSize: live.length,
      paddedShare: padded,
      closedBy,
      queuedMs: value.queuedMs,
      batchingMs: waitedMs,
      runningMs,
      attempts: value.attempts + 1,
    }),
  );
  const errors = outputs.map((output) => (output instanceof Error ? asShoalError(output) : undefined));
  const ran: BatchRun = { items, closedBy, lengths, paddedShare: padded, beginMs, runningMs, receipts, errors };
  onRun(ran);
  return { ran, finished: items.map((item, i) => finish(item, outputs[i]!, receipts[i]!)) };
}

function finish(item: ClaimedItem, output: WireOutput | Error, receipt: ItemReceipt): Finished {
  if (!(output instanceof Error)) return { item, result: { receipt, output } };
  const error = asShoalError(output);
  if (error.retryable && retryAfterMs(item.attempts, () => 0) !== null) return { item };
  return { item, result: { receipt, error: toJobError(error) } };
}

/** An item that has ended its process too often is not run again; a device failure is of no item's making. */
async function runRows(runner: ModelRunner, rows: readonly Waiting[]): Promise<(WireOutput | Error)[]> {
  const [first] = rows;
  if (rows.length === 1 && first!.value.strikes >= MAX_STRIKES) {
    return [new ShoalError('worker_crashed', `running this input ended its worker process ${MAX_STRIKES} times`)];
  }
  return runner.run(rows.map(({ value }) => ({ item: value.item, parameters: value.parameters })));
}

function isDeviceFailure(error: Error): boolean {
  return error instanceof ShoalError && error.retryable;
}

function asShoalError(error: Error): ShoalError {
  if (error instanceof ShoalError) return error;
  return new ShoalError('inference_failed', 'the model could not process this input', { cause: error });
}
