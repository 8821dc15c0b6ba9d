/** From the record of a job to what its caller is shown. Pure. */
import {
  type BatchReceipt,
  ERRORS,
  type ItemReceipt,
  isTerminal,
  type JobError,
  type JobReceipt,
  type JobRecord,
  type JobSummary,
  type JobView,
} from '@shoal/contracts';
import type { Presenter } from './types.js';

export function receiptOf(id: string, status: JobView['status']): JobReceipt {
  return { id, object: 'job', status, links: linksOf(id) };
}

/**
 * `presenter` is the one of the job's model and version; undefined where that version is no longer served. `queue`: where it
 * stands, while it waits.
 */
export function viewOf(record: JobRecord, presenter: Presenter | undefined, queue: JobView['queue'] = null): JobView {
  const shown = isTerminal(record.state) ? present(record, presenter) : NOTHING;
  const receipts = record.results.flatMap((result) => (result === null ? [] : [result.receipt]));
  return {
    ...summaryOf(record),
    error: record.error ?? shown.error,
    output: shown.output,
    errors: shown.errors,
    timings: timingsOf(receipts),
    batches: batchesOf(receipts),
    attempts: receipts.reduce((most, receipt) => Math.max(most, receipt.attempts), 0),
    queue,
  };
}

export function summaryOf(record: JobRecord): JobSummary {
  const { meta } = record;
  return {
    id: record.id,
    object: 'job',
    status: record.state,
    model: meta.model,
    version: meta.version,
    variant: meta.variant,
    accuracy_loss: meta.accuracyLoss ?? null,
    task: meta.task,
    priority: meta.priority,
    created_at: timeOf(record.createdAt),
    started_at: record.startedAt === null ? null : timeOf(record.startedAt),
    ended_at: record.endedAt === null ? null : timeOf(record.endedAt),
    expires_at: record.expiresAt === null ? null : timeOf(record.expiresAt),
    deadline: record.deadline === null ? null : timeOf(record.deadline),
    metadata: meta.metadata,
    webhook: meta.webhook ? { url: meta.webhook.url, events: meta.webhook.events } : null,
    items: { total: record.total, done: record.done, failed: record.failed },
    error: record.error,
    usage: { input_tokens: record.meta.inputTokens ?? record.tokens },
    links: linksOf(record.id),
  };
}

type Shown = Pick<JobView, 'output' | 'error' | 'errors'>;

const NOTHING: Shown = { output: null, error: null, errors: [] };

function present(record: JobRecord, presenter: Presenter | undefined): Shown {
  if (presenter === undefined) return { ...NOTHING, error: notServed(record) };
  const { output, errors } = presenter.present(record.meta, record.results.map(outcomeOf));
  if (record.meta.array) return { output, error: null, errors };
  const own = errors[0];
  if (own === undefined) return { output, error: null, errors: [] };
  const { index: _, ...error } = own;
  return { output: null, error, errors: [] };
}

function outcomeOf(result: JobRecord['results'][number]) {
  return result === null ? null : { output: result.output, error: result.error };
}

function notServed({ meta }: JobRecord): JobError {
  const { title, retryable } = ERRORS.model_not_found;
  const detail = `version ${meta.version} of ${meta.model} is not served any more, so its output cannot be shown`;
  return { code: 'model_not_found', title, detail, retryable };
}

/** All items of a job were admitted together, so the one that ended last took longest. */
function timingsOf(receipts: readonly ItemReceipt[]): JobView['timings'] {
  const took = (receipt: ItemReceipt) => receipt.queuedMs + receipt.batchingMs + receipt.runningMs;
  let last: ItemReceipt | undefined;
  for (const receipt of receipts) {
    if (last === undefined || took(receipt) > took(last)) last = receipt;
  }
  if (last === undefined) return null;
  return { queued_ms: round(last.queuedMs), batching_ms: round(last.batchingMs), running_ms: round(last.runningMs) };
}

function batchesOf(receipts: readonly ItemReceipt[]): BatchReceipt[] {
  const batches = new Map<string, BatchReceipt>();
  for (const { batchId, batchSize, paddedShare, closedBy } of receipts) {
    const items = (batches.get(batchId)?.items ?? 0) + 1;
    batches.set(batchId, { size: batchSize, padded_share: round(paddedShare), closed_by: closedBy, items });
  }
  return [...batches.values()];
}

function linksOf(id: string): JobView['links'] {
  const self = `/v1/jobs/${id}`;
  return { self, cancel: `${self}/cancel`, events: `${self}/events` };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** To three decimals. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
