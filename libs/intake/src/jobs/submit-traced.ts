/** Submission with tracing on: one span per job, whose traceparent goes with the job to whoever runs it. */
import { asShoalError } from '@shoal/contracts';
import type { Admitted, NewJob } from '@shoal/queue';
import type { Tracer } from '@shoal/telemetry';

type Outcomes = (Admitted | Error)[];

/** `meta.trace` of each job is the request's span; of the job that is submitted, that of its own span. */
export async function submitTraced(
  tracer: Tracer,
  jobs: readonly NewJob[],
  submit: (jobs: readonly NewJob[]) => Promise<Outcomes>,
): Promise<Outcomes> {
  const sends = jobs.map((job) => startSend(tracer, job));
  const outcomes = await submit(sends.map(({ job }) => job));
  for (const [n, { span }] of sends.entries()) {
    const outcome = outcomes[n];
    if (outcome === undefined || outcome instanceof Error) span.end({ error: asShoalError(outcome).code });
    else span.end({ attributes: { 'shoal.job.id': outcome.id } });
  }
  return outcomes;
}

function startSend(tracer: Tracer, job: NewJob) {
  const { queue, items, tokens } = job;
  const { trace: parent, ...meta } = job.meta;
  const span = tracer.start(`send ${meta.model}`, {
    kind: 'producer',
    parent,
    attributes: {
      'messaging.system': 'shoal',
      'messaging.operation.type': 'send',
      'messaging.destination.name': queue,
      'shoal.model': meta.model,
      'shoal.version': meta.version,
      'shoal.variant': meta.variant,
      'shoal.items': items.length,
      'shoal.tokens': tokens.reduce((sum, count) => sum + count, 0),
    },
  });
  return { span, job: span.sampled ? { ...job, meta: { ...meta, trace: span.traceparent } } : { ...job, meta } };
}
