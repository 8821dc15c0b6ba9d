/** How jobs come in, whoever sends them: check, find the model, encode; then settle what it runs on, and admit. */
import { setImmediate as turn } from 'node:timers/promises';
import { asShoalError, JobRequest, type JobWebhook, parse, ShoalError, type WebhookRequest } from '@shoal/contracts';
import type { EncodedInput, Model } from '@shoal/models';
import {
  type Admitted,
  drawOf,
  type EventFilter,
  type JobStore,
  type NewJob,
  newUlid,
  type Tenant,
} from '@shoal/queue';
import type { ApiMetrics, Tracer } from '@shoal/telemetry';
import type { Catalog, Choice } from '../models/catalog.js';
import { type Allowed, lossOf } from '../models/within-loss.js';
import { submitTraced } from './submit-traced.js';

/** One job as it was asked for, not checked yet. */
export interface Submission {
  readonly body: unknown;
  readonly idempotency?: NewJob['idempotency'] | undefined;
  /** Traceparent of the request's span, where tracing is on. */
  readonly trace?: string | undefined;
  /** The variant that it names was chosen by a loss that its caller allows, for all jobs of a call together. */
  readonly pinned?: boolean | undefined;
}

/** One job that can run. */
export interface EncodedJob {
  readonly request: JobRequest;
  /** What decides where shares of models do; the end of the job's id. */
  readonly ulid: string;
  /** What its model's name stands for; where it allows a loss, in whichever variant. */
  readonly named: Choice;
  readonly encoded: EncodedInput;
  readonly submission: Submission;
}

/** The webhook of a new job as its record keeps it, and which of the job's events anybody wants. */
export interface PreparedWebhook {
  readonly webhook?: JobWebhook;
  readonly webhookEvents: EventFilter;
}

export interface IntakeParts {
  readonly store: JobStore;
  readonly catalog: Catalog;
  /** @throws ShoalError where what a job asks for cannot be delivered */
  readonly webhooks: { prepare(tenant: string, request: WebhookRequest | undefined): Promise<PreparedWebhook> };
  /** How long an ended job is kept unless it says otherwise. */
  readonly retentionMs: number;
  readonly metrics: ApiMetrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** Undefined: jobs are not traced. */
  readonly tracer: Tracer | undefined;
}

/** Jobs that are checked and tokenised together. */
const GROUP = 64;

export class Intake {
  constructor(private readonly parts: IntakeParts) {}

  /** Checks and tokenises each job by itself, which is what it costs this process: what can run or why not, in order. */
  encodeAll(submissions: readonly Submission[]): Promise<(EncodedJob | ShoalError)[]> {
    return inGroups(submissions, (submission) => this.encode(submission));
  }

  /** Admits those of `encoded` that can run, each by itself: what was admitted or why not, in order. `watch`: they are waited for next. */
  async admitAll(
    tenant: Tenant,
    encoded: readonly (EncodedJob | ShoalError)[],
    options: { readonly watch: boolean },
  ): Promise<(Admitted | ShoalError)[]> {
    const settled = await inGroups(encoded, async (job) =>
      job instanceof ShoalError ? job : this.complete(tenant, job),
    );
    const jobs = settled.filter((job): job is NewJob => !(job instanceof ShoalError));
    const admitted = await this.admit(jobs, options);
    for (const [n, job] of jobs.entries()) this.countOutcome(job, admitted[n]);
    let next = 0;
    return settled.map((job) => (job instanceof ShoalError ? job : outcomeOf(admitted[next++])));
  }

  private async admit(jobs: readonly NewJob[], options: { watch: boolean }): Promise<(Admitted | Error)[]> {
    if (jobs.length === 0) return [];
    const { store, tracer } = this.parts;
    const submit = (all: readonly NewJob[]) => store.submit(all, options);
    return tracer ? submitTraced(tracer, jobs, submit) : submit(jobs);
  }

  private async encode(submission: Submission): Promise<EncodedJob | ShoalError> {
    const { catalog, metrics, clock } = this.parts;
    let model: Model | undefined;
    try {
      const request = parse(JobRequest, submission.body);
      const ulid = newUlid(clock());
      const named = catalog.choose(request.model, drawOf(ulid), request.max_accuracy_loss);
      model = named.model;
      const stopTimer = metrics.encodeDuration.startTimer({ model: model.name });
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
      const webhook = await this.parts.webhooks.prepare(tenant.name, job.request.webhook);
      return newJob(tenant, job, chosen, webhook, this.parts.retentionMs);
    } catch (thrown) {
      return this.refusalOf(thrown, job.named.model);
    }
  }

  /** The variant, which may depend on the input: all of a version take the same. */
  private async settle({ name }: Tenant, { request, named, encoded, submission }: EncodedJob): Promise<Choice> {
    const { catalog, store } = this.parts;
    const { max_accuracy_loss: loss } = request;
    const { idempotency } = submission;
    // Where an earlier call for the same job has gone: another variant may be the faster one by now, but there is one job.
    const before = loss === 0 || !idempotency ? null : await store.queueOfKey(name, idempotency.key);
    return catalog.within(named, { loss, ...shapeOf(encoded) }, before);
  }

  private refusalOf(thrown: unknown, model: Model | undefined): ShoalError {
    const error = asShoalError(thrown);
    this.countRefusal(error, model);
    return error;
  }

  private countOutcome({ meta, tokens }: NewJob, outcome: Admitted | Error | undefined): void {
    const { metrics } = this.parts;
    const { model, task } = meta;
    if (outcome === undefined || outcome instanceof Error) {
      this.countRefusal(asShoalError(outcome), { name: model, task });
      return;
    }
    metrics.requests.inc({ model, task });
    if (!outcome.created) return;
    metrics.requestSuccesses.inc({ model, task });
    metrics.requestTokens.inc({ model }, sum(tokens));
  }

  /** Names that no model has are one label: callers choose them. */
  private countRefusal({ code }: ShoalError, model: Pick<Model, 'name' | 'task'> | undefined): void {
    const { metrics } = this.parts;
    metrics.requests.inc({ model: model?.name ?? 'unknown', task: model?.task ?? 'unknown' });
    metrics.requestFailures.inc({ model: model?.name ?? 'unknown', code });
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

function outcomeOf(admitted: Admitted | Error | undefined): Admitted | ShoalError {
  return admitted === undefined || admitted instanceof Error ? asShoalError(admitted) : admitted;
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
