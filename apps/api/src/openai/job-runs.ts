/**
 * Calls that answer with results: their jobs are submitted and waited for. Nobody else knows them, so they do not outlive the
 * call, unless it asks for them to be kept.
 */
import { isTerminal, type JobError, type JobRecord, ShoalError } from '@shoal/contracts';
import type { Logger } from '@shoal/telemetry';
import type { Permit } from '../http/permit.js';
import type { JobsService } from '../jobs/jobs.service.js';

/** The call that jobs are run for. */
export interface Call {
  readonly permit: Permit;
  /** Aborts when the caller hangs up; its jobs are cancelled then, as when the time is over. */
  readonly signal: AbortSignal;
  /** Traceparent of the request's span, where tracing is on. */
  readonly trace: string | undefined;
}

/** A refusal of job `index`, in the words of whoever made the call: it never saw the job. */
export type Translate = (refusal: ShoalError, index: number) => ShoalError;

export class JobRuns {
  constructor(
    readonly jobs: JobsService,
    private readonly timeoutMs: number,
    private readonly logger: Logger,
  ) {}

  /** The completed records, in order; throws where a job is refused, fails, or takes too long. */
  async run(call: Call, bodies: readonly object[], translate: Translate): Promise<JobRecord[]> {
    const ids = await this.submit(call, bodies.map(this.passing), translate, { watch: true });
    const records = await Promise.all(ids.map((id) => this.end(call, id)));
    for (const record of records) throwUnlessCompleted(record);
    for (const id of ids) this.erase(call, id);
    return records;
  }

  /** Submits one job; its id. `kept`: it outlives the call; else it is the caller's to erase. `watch`: it is `read` next. */
  async begin(
    call: Call,
    body: object,
    translate: Translate,
    { kept, watch }: { readonly kept: boolean; readonly watch: boolean },
  ): Promise<string> {
    const [id] = await this.submit(call, [kept ? body : this.passing(body)], translate, { watch });
    return id!;
  }

  /** The record of a kept job as soon as it has ended. Throws where it did not complete, and `wait_timeout`. */
  async read({ permit: { tenant }, signal }: Omit<Call, 'trace'>, id: string): Promise<JobRecord> {
    const record = await this.jobs.store.wait(tenant.name, id, this.timeoutMs, signal);
    const fault = errorOf(record);
    if (fault) throw faultOf(fault);
    if (record.state === 'completed') return record;
    throw new ShoalError('wait_timeout', 'The answer is not ready yet; it goes on, and can be read later.');
  }

  /** In the background; cancels where need be. */
  erase({ permit: { tenant } }: Pick<Call, 'permit'>, id: string): void {
    this.jobs.store.remove(tenant.name, id).catch((error: unknown) => {
      this.logger.debug('call.not_erased', { job: id }, error);
    });
  }

  /** Should this process end, the job ends as well. */
  private readonly passing = (body: object): object => ({ ...body, deadline: this.timeoutMs / 1000 });

  private async submit(
    call: Call,
    bodies: readonly object[],
    translate: Translate,
    options: { readonly watch: boolean },
  ): Promise<string[]> {
    const submissions = bodies.map((body) => ({ body, trace: call.trace }));
    const outcomes = await this.jobs.submitAll(call.permit, submissions, options);
    const ids = outcomes.flatMap((outcome) => (outcome instanceof ShoalError ? [] : [outcome.id]));
    for (const [index, outcome] of outcomes.entries()) {
      if (!(outcome instanceof ShoalError)) continue;
      for (const id of ids) this.erase(call, id);
      throw translate(outcome, index);
    }
    return ids;
  }

  private async end({ permit: { tenant }, signal }: Call, id: string): Promise<JobRecord> {
    const record = await this.jobs.store.wait(tenant.name, id, this.timeoutMs, signal);
    return isTerminal(record.state) ? record : this.jobs.store.cancel(tenant.name, id);
  }
}

/** What a job that did not go well tells. */
export function faultOf({ code, detail }: JobError): ShoalError {
  return new ShoalError(code, detail);
}

/** Of the job, or else of the first item that failed. */
function errorOf({ error, results }: JobRecord): JobError | undefined {
  return error ?? results.find((result) => result?.error)?.error;
}

/** A job that was cancelled or expired is one whose call had no time left: that is what the caller is told. */
function throwUnlessCompleted(record: JobRecord): void {
  const fault = errorOf(record);
  if (fault && fault.code !== 'cancelled' && fault.code !== 'expired') throw faultOf(fault);
  if (record.state === 'completed' && fault === undefined) return;
  throw new ShoalError('wait_timeout', 'The result was not ready in time, and its job has been cancelled.');
}
