/**
 * The spans of an answer that has ended, told after the fact, so that nothing is waited for:
 *
 *   send <model>            the API's span, from the job's record
 *   └─ process <model>      from admission to the result in Redis
 *      ├─ queue             in Redis
 *      ├─ wait              in this worker, until a row was free
 *      ├─ prefill           to the first token
 *      └─ decode            to the last one
 */
import type { ItemResult } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { ClaimedItem } from '@shoal/queue';
import type { Tracer } from '@shoal/telemetry';

/** `now`: when the result had been published, in Unix ms. */
export function traceAnswer(
  tracer: Tracer,
  model: Model,
  item: ClaimedItem,
  tokens: number,
  { receipt, error }: ItemResult,
  prefillMs: number,
  now: number,
): void {
  if (item.trace === undefined) return;
  const { queuedMs, batchingMs, runningMs, attempts } = receipt;
  const startedAt = now - runningMs;
  const takenAt = startedAt - batchingMs;
  // The time in Redis is by Redis's clock, all else by this machine's: from the durations, clocks need not agree.
  const createdAt = takenAt - queuedMs;
  const span = tracer.start(`process ${model.name}`, {
    kind: 'consumer',
    parent: item.trace,
    startedAt: createdAt,
    attributes: {
      'messaging.system': 'shoal',
      'messaging.operation.type': 'process',
      'messaging.destination.name': model.queue,
      'shoal.job.id': item.jobId,
      'shoal.model': model.name,
      'shoal.version': model.version,
      'shoal.variant': model.variant,
      'shoal.tokens': item.length,
      'shoal.answer.tokens': tokens,
      'shoal.attempts': attempts,
    },
  });
  const part = (name: string, from: number, to: number) =>
    tracer.start(name, { parent: span.traceparent, startedAt: from }).end({ endedAt: to });
  part('queue', createdAt, takenAt);
  part('wait', takenAt, startedAt);
  part('prefill', startedAt, startedAt + prefillMs);
  part('decode', startedAt + prefillMs, now);
  span.end({ endedAt: now, error: error?.code });
}
