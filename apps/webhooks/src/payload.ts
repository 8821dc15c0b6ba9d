/**
 * What a message holds: made anew for every attempt from the job's record, so that no output lies anywhere else, and none
 * of a deleted job is sent.
 */
import { isTerminal, type JobRecord, type JobView, TERMINAL_EVENTS, type WebhookEvent } from '@shoal/contracts';
import { type Presenter, summaryOf, viewOf } from '@shoal/models';
import type { Message, WebhookBackend } from '@shoal/queue';
import { bodyOf, MAX_BODY_BYTES } from '@shoal/webhooks';

/**
 * Stored results of more bytes are not read: printed they would not fit. A number has up to 9 bytes in MessagePack and may
 * be one digit and a comma in JSON; what is in between is read and printed to find out.
 */
const MAX_STORED_BYTES = 5 * MAX_BODY_BYTES;

export interface PayloadSource {
  readonly records: Pick<WebhookBackend, 'readJob' | 'readResults' | 'resultsFit'>;
  /** Undefined where the version that the job ran on is not there. */
  presenterOf(record: JobRecord): Presenter | undefined;
  /** Where the API answers, without a slash at the end; '' leaves links relative, as the API shows them. */
  readonly publicUrl: string;
}

export interface Payload {
  readonly body: Buffer;
  /** Traceparent of the span that enqueued the job, where its trace is kept. */
  readonly trace?: string | undefined;
}

export async function payloadOf(message: Message, source: PayloadSource): Promise<Payload> {
  const { type, job, at, sequence, destination } = message;
  if (job === null) return { body: bodyOf(type, at, [{ object: 'webhook_test', endpoint: destination }]) };
  const ends = TERMINAL_EVENTS.includes(type as WebhookEvent);
  const whole = ends && (await source.records.resultsFit(job, MAX_STORED_BYTES));
  const record = await (whole ? source.records.readResults(job) : source.records.readJob(job));
  const status = type === 'job.started' || type === 'job.output' ? 'running' : type.slice('job.'.length);
  const links = linksOf(job, source.publicUrl);
  const least = { id: job, object: 'job', status, sequence, thin: true, links };
  if (record === null) return { body: bodyOf(type, at, [least]) };
  const summary = { ...summaryOf(record), links, sequence, thin: true };
  const view = whole ? endedView(record, source) : ends ? undefined : openView(record);
  const body = bodyOf(type, at, view ? [{ ...view, links, sequence }, summary, least] : [summary, least]);
  return { body, trace: record.meta.trace };
}

function endedView(record: JobRecord, source: PayloadSource): JobView | undefined {
  const presenter = source.presenterOf(record);
  return presenter && viewOf(record, presenter);
}

/** A job that has ended since would be shown with outputs that were not read. */
function openView(record: JobRecord): JobView | undefined {
  return isTerminal(record.state) ? undefined : viewOf(record, undefined);
}

function linksOf(job: string, publicUrl: string): JobView['links'] {
  const self = `${publicUrl}/v1/jobs/${job}`;
  return { self, cancel: `${self}/cancel`, events: `${self}/events` };
}
