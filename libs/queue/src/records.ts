/** From what lua/read.lua returns to what callers read, and from results to what lua/publish.lua stores. */
import type {
  CloseReason,
  ItemReceipt,
  ItemResult,
  JobError,
  JobMeta,
  JobRecord,
  JobState,
  Task,
  WireOutput,
} from '@shoal/contracts';
import { pack, unpack } from './codec.js';
import { formatJobId, type JobId } from './keys.js';

type PackedBatch = [batchId: string, batchSize: number, paddedShare: number, closedBy: CloseReason, runningMs: number];
type PackedItem = [queuedMs: number, batchingMs: number, attempts: number, WireOutput | null, JobError | null];

/** Results of neighbouring items that ran in one micro-batch: its receipt once, then what differs by item. */
export function packResults(results: readonly ItemResult[]): Buffer {
  const { batchId, batchSize, paddedShare, closedBy, runningMs } = results[0]!.receipt;
  const batch: PackedBatch = [batchId, batchSize, paddedShare, closedBy, runningMs];
  const items = results.map(
    ({ receipt, output, error }): PackedItem => [
      receipt.queuedMs,
      receipt.batchingMs,
      receipt.attempts,
      output ?? null,
      error ?? null,
    ],
  );
  return pack([batch, items]);
}

function unpackResults(bytes: Buffer): ItemResult[] {
  const [batch, items] = unpack<[PackedBatch, PackedItem[]]>(bytes);
  const [batchId, batchSize, paddedShare, closedBy, runningMs] = batch;
  return items.map(([queuedMs, batchingMs, attempts, output, error]) => {
    const receipt: ItemReceipt = {
      batchId,
      batchSize,
      paddedShare,
      closedBy,
      queuedMs,
      batchingMs,
      runningMs,
      attempts,
    };
    return error ? { receipt, error } : { receipt, output: output! };
  });
}

/** A job's meta data, with the order in which its items are stored where that is not the caller's. */
export function packMeta(meta: JobMeta, order: readonly number[]): Buffer {
  return pack(order.length === 1 ? [meta] : [meta, order]);
}

/** What a worker needs to know of a job; the last only where the job's trace is kept. */
export type PackedTask = [task: Task, parameters: Readonly<Record<string, unknown>>, trace?: string];

export function packTask({ task, parameters, trace }: JobMeta): Buffer {
  const packed: PackedTask = trace === undefined ? [task, parameters] : [task, parameters, trace];
  return pack(packed);
}

function unpackMeta(values: readonly (Buffer | null)[]): readonly [meta: JobMeta, order?: readonly number[]] {
  return unpack<[JobMeta, number[]?]>(values[2]!);
}

/** The results of a run of neighbouring items, by their places in the caller's input. */
export function placeResults(
  values: readonly (Buffer | null)[],
  first: number,
  packed: Buffer,
): { readonly index: number; readonly result: ItemResult }[] {
  const [, order] = unpackMeta(values);
  return unpackResults(packed).map((result, i) => ({ index: order?.[first + i] ?? first + i, result }));
}

/** Values in the order of lua/read.lua, followed by name and value of each stored result. */
export function parseRecord(id: JobId, values: readonly (Buffer | null)[]): JobRecord {
  const [state, tenant, , created, started, ended, expires, deadline, tokens, items, done, failed, error] = values;
  const number = (value: Buffer | null | undefined) => (value ? Number(value.toString('latin1')) : null);
  const [meta, order] = unpackMeta(values);
  const total = number(items) ?? 0;
  const results: (ItemResult | null)[] = new Array(total).fill(null);
  for (let n = 13; n < values.length; n += 2) {
    if (!values[n + 1]) continue;
    const first = Number(values[n]!.toString('latin1', 3));
    unpackResults(values[n + 1]!).forEach((result, i) => {
      results[order ? order[first + i]! : first + i] = result;
    });
  }
  const jobState = state!.toString('latin1') as JobState;
  const own = error ? unpack<JobError>(error) : null;
  return {
    id: formatJobId(id),
    tenant: tenant!.toString(),
    state: jobState,
    meta,
    createdAt: number(created) ?? 0,
    startedAt: number(started),
    endedAt: number(ended),
    expiresAt: number(expires),
    deadline: number(deadline),
    tokens: number(tokens) ?? 0,
    total,
    done: number(done) ?? 0,
    failed: number(failed) ?? 0,
    error: own ?? (jobState === 'failed' && total === 1 ? (results[0]?.error ?? null) : null),
    results,
  };
}
