/** One micro-batch from start to end: begin (strikes), forward pass, publish (the fence). */

import { type Batch, type BatchedItem, paddedShare, runSplitting } from '@shoal/batching';
import { type CloseReason, type ItemReceipt, ShoalError, type WireOutput } from '@shoal/contracts';
import type { ModelRunner } from '@shoal/models';
import { type ClaimedItem, type Finished, type Outcome, type Publisher, toJobError } from '@shoal/queue';
import type { BatchReporter } from './batch-reporter.js';
import type { BatchRun } from './batch-run.js';
import type { RateReporter } from './rate-reporter.js';
import { retryAfterMs } from './retry.js';

/** Forward passes that never ended, after which an item counts as what ends its worker. */
const MAX_STRIKES = 3;

export interface BatchStages {
  readonly runner: ModelRunner;
  readonly publisher: Publisher;
  readonly rate: Pick<RateReporter, 'add'>;
  readonly reporter: Pick<BatchReporter, 'holds' | 'ran' | 'published'>;
  /** Milliseconds from any origin, never going back. */
  readonly now: () => number;
  readonly random: () => number;
}

type Batched = BatchedItem<ClaimedItem>;

/** One outcome per item of the batch, in order. Leaves the batch's place on the device as soon as the next may start. */
export async function processBatch(
  batch: Pick<Batch<ClaimedItem, Outcome>, 'items' | 'closedBy' | 'reached' | 'leave'>,
  stages: BatchStages,
): Promise<Outcome[]> {
  const formed = stages.now();
  const items = batch.items.map(({ value }) => value);
  const verdicts = await stages.publisher.begin(items, batch.reached);
  const live = batch.items.filter((_, i) => verdicts[i] === 1);
  const outcomes = new Map<ClaimedItem, Outcome>();
  if (live.length > 0) {
    const { ran, finished } = await runBatch(batch.closedBy, live, stages.now() - formed, stages);
    const seconds = batch.leave();
    // A batch that was split or given up says nothing about one that runs through.
    if (!ran.errors.some((error) => error)) stages.rate.add(ran.lengths, seconds);
    stages.reporter.ran(ran);
    const started = stages.now();
    await stages.publisher.publish(finished);
    stages.reporter.published(ran, stages.now() - started);
    for (const { item, result } of finished) {
      const afterMs = result ? null : retryAfterMs(item.attempts, stages.random);
      if (afterMs !== null) outcomes.set(item, { kind: 'retry', afterMs });
    }
  }
  return items.map((item) => outcomes.get(item) ?? { kind: 'done' });
}

async function runBatch(
  closedBy: CloseReason,
  live: readonly Batched[],
  beginMs: number,
  { runner, random, now }: BatchStages,
): Promise<{ readonly ran: BatchRun; readonly finished: readonly Finished[] }> {
  const started = now();
  const outputs = await runSplitting(live, (rows) => runRows(runner, rows), isDeviceFailure);
  const runningMs = now() - started;
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
  return { ran, finished: items.map((item, i) => finish(item, outputs[i]!, receipts[i]!)) };
}

function finish(item: ClaimedItem, output: WireOutput | Error, receipt: ItemReceipt): Finished {
  if (!(output instanceof Error)) return { item, result: { receipt, output } };
  const error = asShoalError(output);
  if (error.retryable && retryAfterMs(item.attempts, () => 0) !== null) return { item };
  return { item, result: { receipt, error: toJobError(error) } };
}

/** An item that has ended its process too often is not run again; a device failure is of no item's making. */
async function runRows(runner: ModelRunner, rows: readonly Batched[]): Promise<(WireOutput | Error)[]> {
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
