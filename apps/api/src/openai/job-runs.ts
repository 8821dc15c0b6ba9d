/**
 * Calls that answer with results: their jobs are submitted and waited for. Nobody else knows them, so nothing of them outlives
 * the call, however it ends, unless it asks for them to be kept: clients repeat calls that took too long, and what each of
 * these left would count for its tenant until it expires.
 */
import { type JobError, type JobRecord, ShoalError } from '@shoal/contracts';
import type { Logger } from '@shoal/telemetry';
import type { Permit } from '../http/permit.js';
import type { JobsService } from '../jobs/jobs.service.js';

/** How long what is left of a job whose process has died is kept; far longer than a call needs to read its result. */
const ORPHAN_SECONDS = 600;

/** The call that jobs are run for. */
export interface Call {
  readonly permit: Permit;
  /** Aborts when the caller hangs up; its jobs are erased then, as when the time is over. */
  readonly signal: AbortSignal;
  /** Traceparent of the request's span, where tracing is on. */
  readonly trace: string | undefined;
  /** The variant that its jobs name was chosen for all of them together, by the loss that it allows. */
  readonly pinned?: boolean;
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
    try {
      return await Promise.all(ids.map((id) => this.end(call, id)));
    } finally {
      for (const id of ids) this.erase(call, id);
    }
  }

  /** Submits one job; its id. `kept`: it outlives the call; else it is the caller's to erase. `watch`: it is waited for next. */
  async begin(
    call: Omit<Call, 'signal'>,
    body: object,
    translate: Translate,
    { kept, watch }: { readonly kept: boolean; readonly watch: boolean },
  ): Promise<string> {
    const [id] = await this.submit(call, [kept ? body : this.passing(body)], translate, { watch });
    return id!;
  }

  /** The record of a job that is not kept as soon as it has completed. Throws where it did not, and `wait_timeout`. */
  async end({ permit: { tenant }, signal }: Omit<Call, 'trace'>, id: string): Promise<JobRecord> {
    const record = await this.jobs.store.wait(tenant.name, id, this.timeoutMs, signal);
    const fault = errorOf(record);
    // Nobody but the call ends its job: that this was cancelled or expired is told as the time that it had no more of.
    if (fault && fault.code !== 'cancelled' && fault.code !== 'expired') throw faultOf(fault);
    if (record.state === 'completed' && fault === undefined) return record;
    throw new ShoalError('wait_timeout', 'The result was not ready in time, and what was made of it is erased.');
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

  /** Should this process end, the job ends as well, and is gone soon after. */
  private readonly passing = (body: object): object => ({
    ...body,
    deadline: this.timeoutMs / 1000,
    retention: ORPHAN_SECONDS,
  });

  private async submit(
    call: Omit<Call, 'signal'>,
    bodies: readonly object[],
    translate: Translate,
    options: { readonly watch: boolean },
  ): Promise<string[]> {
    const submissions = bodies.map((body) => ({ body, trace: call.trace, pinned: call.pinned }));
    const outcomes = await this.jobs.submitAll(call.permit, submissions, options);
    const ids = outcomes.flatMap((outcome) => (outcome instanceof ShoalError ? [] : [outcome.id]));
    for (const [index, outcome] of outcomes.entries()) {
      if (!(outcome instanceof ShoalError)) continue;
      for (const id of ids) this.erase(call, id);
      throw translate(outcome, index);
    }
    return ids;
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
