/** From fields of a record, as scripts return them, to what callers read; from results to what lua/publish.lua stores. */
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
import type { Slice } from './chunks.js';
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

/** Items of a slice and their lengths, as workers read them. */
export function packItems({ items, lengths }: Slice): Buffer {
  return pack([items, lengths]);
}

/** A job's meta data, with the order in which its items are stored where that is not the caller's. */
export function packMeta(meta: JobMeta, order: readonly number[]): Buffer {
  return pack(order.length === 1 ? [meta] : [meta, order]);
}

/**
 * What a worker needs to know of a job. The last two only where the job's trace is kept, and where it was accepted for what one
 * graph was measured to lose.
 */
export type PackedTask = [
  task: Task,
  parameters: Readonly<Record<string, unknown>>,
  trace?: string | null,
  graph?: string,
];

export function packTask({ task, parameters, trace, graph }: JobMeta): Buffer {
  const packed: PackedTask = [task, parameters];
  if (trace !== undefined || graph !== undefined) packed.push(trace ?? null);
  if (graph !== undefined) packed.push(graph);
  return pack(packed);
}

/** The fields of a record that are read: scripts are told them, and return their values in this order. */
export const RECORD_FIELDS = [
  'state',
  'tenant',
  'meta',
  'created',
  'started',
  'ended',
  'expires',
  'deadline',
  'tokens',
  'items',
  'done',
  'failed',
  'bytes',
  'error',
  'place',
] as const;

/** Values of `RECORD_FIELDS`; null for what is not there. */
export type RecordValues = readonly (Buffer | null)[];

/** Runs of stored results: first item, packed results, first item, ... */
export type StoredRuns = readonly (number | Buffer)[];

/** A job without results, and the order in which its items are stored where that is not the caller's. */
export interface StoredRecord {
  readonly record: JobRecord;
  readonly order: readonly number[] | undefined;
  /** Whether its answers grow piece by piece. */
  readonly generates: boolean;
}

export function parseRecord(id: JobId, values: RecordValues): StoredRecord {
  const field = (name: (typeof RECORD_FIELDS)[number]) => values[RECORD_FIELDS.indexOf(name)] ?? null;
  const number = (name: (typeof RECORD_FIELDS)[number]) => {
    const value = field(name);
    return value === null ? null : Number(value.toString('latin1'));
  };
  const [meta, order] = unpack<[JobMeta, number[]?]>(field('meta')!);
  const total = number('items') ?? 0;
  const error = field('error');
  const record: JobRecord = {
    id: formatJobId(id),
    tenant: field('tenant')!.toString(),
    state: field('state')!.toString('latin1') as JobState,
    meta,
    createdAt: number('created') ?? 0,
    startedAt: number('started'),
    endedAt: number('ended'),
    expiresAt: number('expires'),
    deadline: number('deadline'),
    tokens: number('tokens') ?? 0,
    total,
    done: number('done') ?? 0,
    failed: number('failed') ?? 0,
    resultBytes: number('bytes') ?? 0,
    error: error && unpack<JobError>(error),
    results: new Array(total).fill(null),
  };
  return { record, order, generates: field('place') !== null };
}

/** The results of a run of neighbouring items, by their places in the caller's input. */
export function placeResults(
  { order }: Pick<StoredRecord, 'order'>,
  first: number,
  packed: Buffer,
): { readonly index: number; readonly result: ItemResult }[] {
  return unpackResults(packed).map((result, i) => ({ index: order?.[first + i] ?? first + i, result }));
}

/** The record with its results. The error of a failed job's only item is the job's. */
export function withResults(stored: StoredRecord, runs: StoredRuns): JobRecord {
  const { record } = stored;
  const results = [...record.results];
  for (let n = 0; n < runs.length; n += 2) {
    for (const { index, result } of placeResults(stored, runs[n] as number, runs[n + 1] as Buffer)) {
      results[index] = result;
    }
  }
  const own = record.state === 'failed' && record.total === 1 ? (results[0]?.error ?? null) : null;
  return { ...record, error: record.error ?? own, results };
}

/** What of its results a list shows: the error of a failed job's only item. */
export function withoutResults(stored: StoredRecord, runs: StoredRuns): JobRecord {
  return { ...withResults(stored, runs), results: stored.record.results };
}
