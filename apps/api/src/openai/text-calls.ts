/** Calls for generated texts: answered when they are whole or as they grow, and kept ones read again, on any replica. */
import { type GeneratedText, type JobRecord, ShoalError } from '@shoal/contracts';
import { isLarge, type TokenTexts } from '@shoal/models';
import { type JobProgress, parseJobId } from '@shoal/queue';
import type { ApiMetrics } from '@shoal/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EventStream } from '../http/event-stream.js';
import type { FailureLog } from '../http/failure-log.js';
import type { HeldRequests } from '../http/held-requests.js';
import { jsonStream } from '../http/json-stream.js';
import type { Permit } from '../http/permit.js';
import { toShoalError } from '../http/problem.js';
import type { Catalog } from '../models/catalog.js';
import type { JobRuns, Translate } from './job-runs.js';
import { headOf, settingsOf, type TextFace, usageOf } from './text-face.js';
import { readStreamQuery, readTextPosition, type TextPosition } from './text-position.js';
import { TEXT_TASK, type TextRequest } from './text-request.js';
import { TextStream } from './text-stream.js';
import { translated } from './translate.js';

/** One request and its answer. */
export interface Exchange {
  readonly permit: Permit;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface Removed {
  readonly id: string;
  readonly object: string;
  readonly deleted: true;
}

interface StreamRequest {
  readonly usage: boolean;
  readonly kept: boolean;
  readonly position: TextPosition | null;
}

export class TextCalls {
  constructor(
    private readonly runs: JobRuns,
    private readonly catalog: Catalog,
    private readonly held: HeldRequests,
    private readonly metrics: ApiMetrics,
    private readonly failures: FailureLog,
  ) {}

  async create(face: TextFace, asked: TextRequest, exchange: Exchange): Promise<void> {
    if (asked.unknown > 0) this.metrics.unknownFields.inc({ route: face.path }, asked.unknown);
    if (asked.stream) return this.createStream(face, asked, exchange);
    const { permit, request, reply } = exchange;
    const record = await this.held.untilHangUp(reply, 'result', async (signal) => {
      const call = { permit, signal, trace: request.span?.traceparent };
      const translate = this.translate(asked);
      if (!asked.kept) return (await this.runs.run(call, [asked.job], translate))[0]!;
      const job = await this.runs.begin(call, asked.job, translate, { kept: true, watch: true });
      // Also where the answer is not ready in time.
      reply.header('Location', `${face.path}/${face.prefix}${job}`);
      return this.runs.read(call, job);
    });
    await this.send(face, record, exchange);
  }

  /** A kept answer: whole as soon as it is there, or as it grows, from what the reader had last. */
  async read(face: TextFace, id: string, exchange: Exchange): Promise<void> {
    const { permit, request, reply } = exchange;
    const job = jobOf(face, id);
    const { stream, usage } = readStreamQuery(request);
    if (stream) {
      const position = readTextPosition(String(request.headers['last-event-id'] ?? ''));
      await this.held.untilStop(reply, 'events', (signal) =>
        this.write(face, job, { usage, kept: true, position }, exchange, signal),
      );
      return;
    }
    const record = await this.held.untilStop(reply, 'result', (signal) => this.runs.read({ permit, signal }, job));
    await this.send(face, record, exchange);
  }

  async remove(face: TextFace, id: string, { tenant }: Permit): Promise<Removed> {
    await this.runs.jobs.store.remove(tenant.name, jobOf(face, id));
    return { id, object: face.deletedObject, deleted: true };
  }

  private async createStream(face: TextFace, asked: TextRequest, exchange: Exchange): Promise<void> {
    const { permit, request, reply } = exchange;
    const { kept, usage } = asked;
    const stream = async (signal: AbortSignal) => {
      const call = { permit, signal, trace: request.span?.traceparent };
      const job = await this.runs.begin(call, asked.job, this.translate(asked), { kept, watch: false });
      if (kept) reply.header('Location', `${face.path}/${face.prefix}${job}`);
      try {
        await this.write(face, job, { usage, kept, position: null }, exchange, signal);
      } finally {
        // Also where its reader has gone: then the place that it took is free for others.
        if (!kept) this.runs.erase(call, job);
      }
    };
    // One that can be resumed elsewhere need not hold up a server that stops.
    await (kept ? this.held.untilStop(reply, 'events', stream) : this.held.untilHangUp(reply, 'events', stream));
  }

  private async write(
    face: TextFace,
    job: string,
    { usage, kept, position }: StreamRequest,
    { permit, request, reply }: Exchange,
    signal: AbortSignal,
  ): Promise<void> {
    const looks = this.runs.jobs.store.follow(permit.tenant.name, job, { parts: 0, pieces: 0 }, signal);
    try {
      // Before the head is sent: whatever is wrong is still an answer of its own.
      const first = await looks.next();
      // The server stops, or the caller has gone: a stream that ends without a word would look whole.
      if (first.done || signal.aborted) reply.hijack().raw.destroy();
      else
        await this.writeLooks(face, first.value, looks, { usage, kept, position }, { permit, request, reply }, signal);
    } finally {
      await looks.return();
    }
  }

  private async writeLooks(
    face: TextFace,
    first: JobProgress,
    looks: AsyncGenerator<JobProgress, void>,
    { usage, kept, position }: StreamRequest,
    { request, reply }: Exchange,
    signal: AbortSignal,
  ): Promise<void> {
    const { record } = first;
    requireText(record);
    const events = new TextStream({ face, record, texts: this.textsOf(record), usage, resumable: kept, position });
    const stream = new EventStream(reply, signal, { reconnects: false });
    try {
      await stream.write(events.next(first));
      for await (const look of looks) await stream.write(events.next(look));
    } catch (thrown) {
      const error = toShoalError(thrown);
      this.failures.write(error, request);
      await stream.write(events.fail(error));
    } finally {
      stream.end();
    }
  }

  private async send(face: TextFace, record: JobRecord, { permit, reply }: Exchange): Promise<void> {
    requireText(record);
    const answers = record.results.map((result) => result?.output as GeneratedText);
    const texts = this.textsOf(record);
    const answer = {
      ...headOf(face, record, 'whole'),
      choices: answers.map((each, index) => face.choice(index, each, texts, settingsOf(record.meta))),
      usage: usageOf(record, answers),
    };
    if (!isLarge(record)) {
      reply.send(answer);
      return;
    }
    const end = permit.resultAtOnce() ?? (await permit.result());
    reply.type('application/json; charset=utf-8').send(jsonStream(reply, answer, end).getStream());
  }

  private translate({ rename }: TextRequest): Translate {
    return (refusal) => translated(refusal, TEXT_TASK, this.catalog, rename);
  }

  /** Undefined where the version that made the text is no longer served. */
  private textsOf({ meta }: JobRecord): TokenTexts | undefined {
    return this.catalog.find(meta.model, meta.version)?.tokens;
  }
}

function jobOf(face: TextFace, id: string): string {
  const job = id.startsWith(face.prefix) ? id.slice(face.prefix.length) : '';
  if (parseJobId(job) === null) throw notFound();
  return job;
}

function requireText({ meta }: JobRecord): void {
  if (meta.task !== TEXT_TASK) throw notFound();
}

function notFound(): ShoalError {
  const detail =
    'There is no such answer, or it has expired; only those that were asked for with "store": true are kept.';
  return new ShoalError('job_not_found', detail);
}
