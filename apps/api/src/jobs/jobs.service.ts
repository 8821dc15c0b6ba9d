/** The path of a job through the API: check, find the model, encode, admit. */

import { setImmediate as turn } from 'node:timers/promises';
import type { StreamableFile } from '@nestjs/common';
import {
  type JobRecord,
  JobRequest,
  type JobSummary,
  type JobView,
  type Joining,
  parse,
  ShoalError,
} from '@shoal/contracts';
import { type EncodedInput, isLarge, type Model, type Presenter, summaryOf, viewOf } from '@shoal/models';
import { type Admitted, drawOf, type JobStore, type NewJob, newUlid, type QueuePlace, type Tenant } from '@shoal/queue';
import type { ApiMetrics, Tracer } from '@shoal/telemetry';
import type { FastifyReply } from 'fastify';
import { jsonStream } from '../http/json-stream.js';
import type { Permit } from '../http/permit.js';
import { toShoalError } from '../http/problem.js';
import type { Catalog, Choice } from '../models/catalog.js';
import { type Allowed, lossOf } from '../models/within-loss.js';
import type { PreparedWebhook, Webhooks } from '../webhooks/webhooks.js';
import type { Idempotency } from './idempotency.js';
import { submitTraced } from './submit-traced.js';

/** One job as it was asked for, not checked yet. */
export interface Submission {
  readonly body: unknown;
  readonly idempotency?: Idempotency | undefined;
  /** Traceparent of the request's span, where tracing is on. */
  readonly trace?: string | undefined;
  /** The variant that it names was chosen by a loss that its caller allows, for all jobs of a call together. */
  readonly pinned?: boolean | undefined;
}

/** One job that can run. */
interface EncodedJob {
  readonly request: JobRequest;
  /** What decides where shares of models do; the end of the job's id. */
  readonly ulid: string;
  /** What its model's name stands for; where it allows a loss, in whichever variant. */
  readonly named: Choice;
  readonly encoded: EncodedInput;
  readonly submission: Submission;
}

/** Jobs of a bulk call that are checked and tokenised together. */
const GROUP = 64;

export class JobsService {
  constructor(
    readonly store: JobStore,
    private readonly catalog: Catalog,
    private readonly webhooks: Webhooks,
    private readonly retentionMs: number,
    private readonly metrics: ApiMetrics,
    private readonly clock: () => number,
    private readonly tracer: Tracer | undefined,
  ) {}

  /** Admits one job; throws why not. `watch`: the caller goes on to wait for it. */
  async submit(permit: Permit, submission: Submission, options: { watch: boolean }): Promise<Admitted> {
    const [outcome] = await this.submitAll(permit, [submission], options);
    if (outcome === undefined || outcome instanceof ShoalError) throw outcome;
    return outcome;
  }

  /** Admits each job by itself: what was admitted or why not, in order. */
  async submitAll(
    permit: Permit,
    submissions: readonly Submission[],
    options = { watch: false },
  ): Promise<(Admitted | ShoalError)[]> {
    const prepared = await this.prepareAll(permit, submissions);
    const jobs = prepared.filter((job): job is NewJob => !(job instanceof ShoalError));
    const admitted = await this.admit(jobs, options);
    for (const [n, job] of jobs.entries()) this.countOutcome(job, admitted[n]);
    let next = 0;
    return prepared.map((job) => (job instanceof ShoalError ? job : outcomeOf(admitted[next++])));
  }

  private async admit(jobs: readonly NewJob[], options: { watch: boolean }): Promise<(Admitted | Error)[]> {
    if (jobs.length === 0) return [];
    const submit = (all: readonly NewJob[]) => this.store.submit(all, options);
    return this.tracer ? submitTraced(this.tracer, jobs, submit) : submit(jobs);
  }

  /** The job as its caller sees it. */
  async answer(permit: Permit, reply: FastifyReply, read: () => Promise<JobRecord>): Promise<JobView | StreamableFile> {
    let queue: JobView['queue'] = null;
    const readBoth = async () => {
      const record = await read();
      if (record.state === 'queued') queue = placeView(await this.store.place(permit.tenant.name, record.id));
      return record;
    };
    return this.answerAs(permit, reply, readBoth, (record) => viewOf(record, this.presenterOf(record), queue));
  }

  /** What `show` makes of the record; where it is large, as a stream and when it is the tenant's turn. */
  async answerAs<Shown>(
    permit: Permit,
    reply: FastifyReply,
    read: () => Promise<JobRecord>,
    show: (record: JobRecord) => Shown,
  ): Promise<Shown | StreamableFile> {
    let record: JobRecord | null = await read();
    if (!isLarge(record)) return show(record);
    const { id } = record;
    let end = permit.resultAtOnce();
    if (end === null) {
      // Read again when it is: those who wait hold nothing.
      record = null;
      end = await permit.result();
    }
    try {
      record ??= await this.store.get(permit.tenant.name, id);
      return jsonStream(reply, show(record), end);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** For jobs that have to run on the same: the name that asks for what `model` stands for, this time, where so much is allowed. */
  pin(model: string, allowed: Allowed): string {
    const named = this.catalog.choose(model, drawOf(newUlid(this.clock())), allowed.loss);
    return this.catalog.within(named, allowed).selector ?? model;
  }

  /** Undefined where the version that the job ran on has gone long since. */
  presenterOf({ meta }: JobRecord): Presenter | undefined {
    return this.catalog.presenter(meta.model, meta.version);
  }

  summary(record: JobRecord): JobSummary {
    return summaryOf(record);
  }

  private async prepareAll(permit: Permit, submissions: readonly Submission[]): Promise<(NewJob | ShoalError)[]> {
    const { tenant } = permit;
    await permit.startWork();
    const encoded = await inGroups(submissions, (submission) => this.encode(submission)).finally(() =>
      permit.endWork(),
    );
    // After it: names are looked up only for jobs that can run, and that may take seconds.
    return inGroups(encoded, async (job) => (job instanceof ShoalError ? job : this.complete(tenant, job)));
  }

  /** What workers proved of the model's rows; null where none has loaded it, or Redis is away. */
  async joiningOf({ queue }: Model): Promise<Joining | null> {
    return await this.store.joining(queue).catch(() => null);
  }

  private async encode(submission: Submission): Promise<EncodedJob | ShoalError> {
    let model: Model | undefined;
    try {
      const request = parse(JobRequest, submission.body);
      const ulid = newUlid(this.clock());
      const named = this.catalog.choose(request.model, drawOf(ulid), request.max_accuracy_loss);
      model = named.model;
      const stopTimer = this.metrics.encodeDuration.startTimer({ model: model.name });
      const encoded = await named.face.encode({
        input: request.input,
        parameters: request.parameters,
        ...(request.task && { task: request.task }),
      });
      stopTimer();
      return { request, ulid, named, encoded, submission };
    } catch (thrown) {
      return this.refusalOf(thrown, model);
    }
  }

  private async complete(tenant: Tenant, job: EncodedJob): Promise<NewJob | ShoalError> {
    try {
      const chosen = await this.settle(tenant, job);
      const webhook = await this.webhooks.prepare(tenant.name, job.request.webhook);
      return newJob(tenant, job, chosen, webhook, this.retentionMs);
    } catch (thrown) {
      return this.refusalOf(thrown, job.named.model);
    }
  }

  /** The variant, which may depend on the input: all of a version take the same. */
  private async settle({ name }: Tenant, { request, named, encoded, submission }: EncodedJob): Promise<Choice> {
    const { max_accuracy_loss: loss } = request;
    const { idempotency } = submission;
    // Where an earlier call for the same job has gone: another variant may be the faster one by now, but there is one job.
    const before = loss === 0 || !idempotency ? null : await this.store.queueOfKey(name, idempotency.key);
    return this.catalog.within(named, { loss, ...shapeOf(encoded) }, before);
  }

  private refusalOf(thrown: unknown, model: Model | undefined): ShoalError {
    const error = toShoalError(thrown);
    this.countRefusal(error, model);
    return error;
  }

  private countOutcome({ meta, tokens }: NewJob, outcome: Admitted | Error | undefined): void {
    const { model, task } = meta;
    if (outcome === undefined || outcome instanceof Error) {
      this.countRefusal(toShoalError(outcome), { name: model, task });
      return;
    }
    this.metrics.requests.inc({ model, task });
    if (!outcome.created) return;
    this.metrics.requestSuccesses.inc({ model, task });
    this.metrics.requestTokens.inc({ model }, sum(tokens));
  }

  /** Names that no model has are one label: callers choose them. */
  private countRefusal({ code }: ShoalError, model: Pick<Model, 'name' | 'task'> | undefined): void {
    this.metrics.requests.inc({ model: model?.name ?? 'unknown', task: model?.task ?? 'unknown' });
    this.metrics.requestFailures.inc({ model: model?.name ?? 'unknown', code });
  }
}

/** A group at a time, so that the texts of other requests come between. */
async function inGroups<T, R>(entries: readonly T[], work: (entry: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < entries.length; from += GROUP) {
    if (from > 0) await turn();
    for (const result of await Promise.all(entries.slice(from, from + GROUP).map(work))) results.push(result);
  }
  return results;
}

function placeView(place: QueuePlace | null): JobView['queue'] {
  if (place === null) return null;
  const { position, startsAt } = place;
  return { position, expected_start_at: startsAt === null ? null : new Date(startsAt).toISOString() };
}

function outcomeOf(admitted: Admitted | Error | undefined): Admitted | ShoalError {
  return admitted === undefined || admitted instanceof Error ? toShoalError(admitted) : admitted;
}

function shapeOf({ items, tokens }: EncodedInput): Omit<Allowed, 'loss'> {
  return { batch: items.length, tokens: sum(tokens) / items.length };
}

function newJob(
  tenant: Tenant,
  { request, ulid, encoded, submission }: EncodedJob,
  { model, selector }: Choice,
  { webhook, webhookEvents }: PreparedWebhook,
  retentionMs: number,
): NewJob {
  const { deadline, retention } = request;
  const { idempotency, trace } = submission;
  // Of a variant that was chosen by another name nobody promises what it loses: it runs with the file that is loaded.
  const accuracyLoss = request.max_accuracy_loss > 0 || submission.pinned ? lossOf(model) : undefined;
  return {
    ulid,
    queue: model.queue,
    tenant,
    meta: {
      model: model.name,
      version: model.version,
      variant: model.variant,
      ...(selector !== undefined && { selector }),
      ...(accuracyLoss && { accuracyLoss, graph: model.quality!.graph.sha256 }),
      task: encoded.task,
      priority: request.priority,
      parameters: encoded.parameters,
      metadata: request.metadata ?? {},
      array: encoded.array,
      ...(encoded.groups && { groups: encoded.groups }),
      ...(encoded.answers && { inputTokens: sum(encoded.tokens) }),
      ...(webhook && { webhook }),
      ...(trace !== undefined && { trace }),
    },
    items: encoded.items,
    tokens: encoded.tokens,
    ...(encoded.answers && { answers: encoded.answers }),
    resultBytes: encoded.resultBytes,
    webhookEvents,
    retentionMs: retention === undefined ? retentionMs : retention * 1000,
    ...(deadline !== undefined && {
      deadline: typeof deadline === 'number' ? { in: deadline * 1000 } : { at: Date.parse(deadline) },
    }),
    ...(idempotency && { idempotency }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
