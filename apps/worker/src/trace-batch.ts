/**
 * The spans of a micro-batch that ran, told after the fact, so that nothing is waited for:
 *
 *   send <model>            the API's span, from the job's record
 *   └─ process <model>      a job's share of the batch: from admission to its results in Redis
 *      ├─ queue             in Redis
 *      ├─ batch             in this worker, until the forward pass
 *      ├─ run               the forward pass, as a part of the job; linked to `execute`
 *      └─ publish           results to Redis
 *   execute <model>         the forward pass itself: one per micro-batch, a part of the first traced job's trace, linked
 *                           to every job of the batch
 */
import type { Model } from '@shoal/models';
import type { ClaimedItem } from '@shoal/queue';
import type { Span, SpanAttributes, Tracer } from '@shoal/telemetry';
import type { BatchRun } from './batch-run.js';

/** One job's items in the batch. */
interface Share {
  readonly item: ClaimedItem;
  /** Places of its items in the batch. */
  readonly places: number[];
}

/** `now`: when the results had been published, in Unix ms. */
export function traceBatch(tracer: Tracer, model: Model, ran: BatchRun, publishMs: number, now: number): void {
  const shares = findShares(ran.items);
  if (shares.length === 0) return;
  const published = { startedAt: now - publishMs, endedAt: now };
  const running = { startedAt: published.startedAt - ran.runningMs, endedAt: published.startedAt };
  const labels = { 'shoal.model': model.name, 'shoal.version': model.version, 'shoal.variant': model.variant };
  const spans = shares.map((share) => startProcess(tracer, model, ran, share, running.startedAt));
  const execute = tracer.start(`execute ${model.name}`, {
    parent: spans[0]!.span.traceparent,
    links: spans.map(({ span }) => span.traceparent),
    startedAt: running.startedAt,
    attributes: {
      ...labels,
      'shoal.batch.size': ran.items.length,
      'shoal.batch.jobs': new Set(ran.items.map(({ jobId }) => jobId)).size,
      'shoal.batch.tokens': sum(ran.lengths),
      'shoal.batch.padded_ratio': ran.paddedShare,
      'shoal.batch.closed_by': ran.closedBy,
    },
  });
  execute.end({ endedAt: running.endedAt });
  for (const { span, share, claimedAt, createdAt } of spans) {
    const part = (name: string, startedAt: number, endedAt: number, links: readonly string[] = []) =>
      tracer.start(name, { parent: span.traceparent, startedAt, links }).end({ endedAt });
    part('queue', createdAt, claimedAt);
    part('batch', claimedAt, running.startedAt);
    part('run', running.startedAt, running.endedAt, [execute.traceparent]);
    part('publish', published.startedAt, published.endedAt);
    span.end({ endedAt: now, error: share.places.map((place) => ran.errors[place]?.code).find((code) => code) });
  }
}

/** The jobs of the batch whose traces are kept. */
function findShares(items: readonly ClaimedItem[]): Share[] {
  const shares = new Map<string, Share>();
  for (const [place, item] of items.entries()) {
    if (item.trace === undefined) continue;
    const share = shares.get(item.jobId) ?? { item, places: [] };
    share.places.push(place);
    shares.set(item.jobId, share);
  }
  return [...shares.values()];
}

interface ProcessSpan {
  readonly span: Span;
  readonly share: Share;
  readonly claimedAt: number;
  readonly createdAt: number;
}

function startProcess(tracer: Tracer, model: Model, ran: BatchRun, share: Share, runAt: number): ProcessSpan {
  const { item, places } = share;
  const { batchingMs, queuedMs, attempts } = ran.receipts[places[0]!]!;
  const claimedAt = runAt - ran.beginMs - batchingMs;
  // The time in Redis is by Redis's clock, all else by this machine's: from the durations, clocks need not agree.
  const createdAt = claimedAt - queuedMs;
  const attributes: SpanAttributes = {
    'messaging.system': 'shoal',
    'messaging.operation.type': 'process',
    'messaging.destination.name': model.queue,
    'shoal.job.id': item.jobId,
    'shoal.model': model.name,
    'shoal.version': model.version,
    'shoal.variant': model.variant,
    'shoal.items': places.length,
    'shoal.tokens': sum(places.map((place) => ran.lengths[place]!)),
    'shoal.attempts': attempts,
  };
  const span = tracer.start(`process ${model.name}`, {
    kind: 'consumer',
    parent: item.trace,
    startedAt: createdAt,
    attributes,
  });
  return { span, share, claimedAt, createdAt };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
