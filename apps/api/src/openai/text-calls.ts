/** Calls for generated texts: answered when they are whole or as they grow, and kept ones read again, on any replica. */
import { StreamableFile } from '@nestjs/common';
import { type JobRecord, ShoalError } from '@shoal/contracts';
import { type Catalog, TEXT_TASK, type TextFace, type TextRequest, translated, wholeAnswer } from '@shoal/intake';
import type { TokenTexts } from '@shoal/models';
import { parseJobId } from '@shoal/queue';
import type { ApiMetrics } from '@shoal/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EventStream } from '../http/event-stream.js';
import type { FailureLog } from '../http/failure-log.js';
import type { HeldRequests } from '../http/held-requests.js';
import type { Permit } from '../http/permit.js';
import { toShoalError } from '../http/problem.js';
import type { JobRuns, Translate } from './job-runs.js';
import { readStreamQuery, readTextPosition, type TextPosition } from './text-position.js';
import { TextStream } from './text-stream.js';
import { tellVariant } from './told-variant.js';

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
    const { kept, job: body } = asked;
    const { permit, request, reply } = exchange;
    const call = { permit, trace: request.span?.traceparent };
    const job = await this.runs.begin(call, body, this.translate(asked), { kept, watch: true });
    // Also where the answer is not ready in time.
    if (kept) reply.header('Location', `${face.path}/${face.prefix}${job}`);
    try {
      await this.send(face, exchange, () =>
        this.held.untilHangUp(reply, 'result', (signal) =>
          kept ? this.runs.read({ permit, signal }, job) : this.runs.end({ permit, signal }, job),
        ),
      );
    } finally {
      if (!kept) this.runs.erase(call, job);
    }
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
    await this.send(face, exchange, () =>
      this.held.untilStop(reply, 'result', (signal) => this.runs.read({ permit, signal }, job)),
    );
  }

  async remove(face: TextFace, id: string, { tenant }: Permit): Promise<Removed> {
    await this.runs.jobs.store.remove(tenant.name, jobOf(face, id));
    return { id, object: face.deletedObject, deleted: true };
  }

  private async createStream(face: TextFace, asked: TextRequest, exchange: Exchange): Promise<void> {
    const { permit, request, reply } = exchange;
    const { kept, usage } = asked;
    const stream = async (signal: AbortSignal) => {
      const call = { permit, trace: request.span?.traceparent };
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
      let look = await looks.next();
      // The server stops, or the caller has gone: a stream that ends without a word would look whole.
      if (look.done || signal.aborted) {
        reply.hijack().raw.destroy();
        return;
      }
      const { record } = look.value;
      requireText(record);
      tellVariant(reply, record.meta);
      const events = new TextStream({ face, record, texts: this.textsOf(record), usage, resumable: kept, position });
      const stream = new EventStream(reply, signal, { reconnects: false });
      try {
        for (; !look.done; look = await looks.next()) {
          for (const text of events.next(look.value)) await stream.write(text);
        }
      } catch (thrown) {
        const error = toShoalError(thrown);
        this.failures.write(error, request);
        await stream.write(events.fail(error));
      } finally {
        stream.end();
      }
    } finally {
      await looks.return();
    }
  }

  /** The whole answer; its job may be erased when this has resolved. */
  private async send(face: TextFace, { permit, reply }: Exchange, read: () => Promise<JobRecord>): Promise<void> {
    const answer = await this.runs.jobs.answerAs(permit, reply, read, (record) => {
      requireText(record);
      tellVariant(reply, record.meta);
      return wholeAnswer(face, record, this.textsOf(record));
    });
    reply.type('application/json; charset=utf-8').send(answer instanceof StreamableFile ? answer.getStream() : answer);
  }

  private translate({ rename }: TextRequest): Translate {
    return (refusal) => translated(refusal, TEXT_TASK, this.catalog, rename);
  }

  /** Undefined where the version that made the text is no longer served. */
  private textsOf({ meta }: JobRecord): TokenTexts | undefined {
    return this.catalog.presenter(meta.model, meta.version)?.tokens;
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
