/** Calls that answer with results: their jobs are submitted and waited for. Nobody else knows them, so they do not outlive the call. */
import { isTerminal, type JobRecord, ShoalError } from '@shoal/contracts';
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
    private readonly jobs: JobsService,
    private readonly timeoutMs: number,
    private readonly logger: Logger,
  ) {}

  /** The completed records, in order; throws where a job is refused, fails, or takes too long. */
  async run(call: Call, bodies: readonly object[], translate: Translate): Promise<JobRecord[]> {
    // Should this process end, the jobs end as well.
    const deadline = this.timeoutMs / 1000;
    const submissions = bodies.map((body) => ({ body: { ...body, deadline }, trace: call.trace }));
    const outcomes = await this.jobs.submitAll(call.permit, submissions, { watch: true });
    const ids = outcomes.flatMap((outcome) => (outcome instanceof ShoalError ? [] : [outcome.id]));
    for (const [index, outcome] of outcomes.entries()) {
      if (!(outcome instanceof ShoalError)) continue;
      for (const id of ids) this.erase(call, id);
      throw translate(outcome, index);
    }
    const records = await Promise.all(ids.map((id) => this.end(call, id)));
    for (const record of records) throwUnlessCompleted(record);
    for (const id of ids) this.erase(call, id);
    return records;
  }

  private async end({ permit: { tenant }, signal }: Call, id: string): Promise<JobRecord> {
    const record = await this.jobs.store.wait(tenant.name, id, this.timeoutMs, signal);
    return isTerminal(record.state) ? record : this.jobs.store.cancel(tenant.name, id);
  }

  private erase({ permit: { tenant } }: Call, id: string): void {
    this.jobs.store.remove(tenant.name, id).catch((error: unknown) => {
      this.logger.debug('call.not_erased', { job: id }, error);
    });
  }
}

/** A job that was cancelled or expired is one whose call had no time left: that is what the caller is told. */
function throwUnlessCompleted({ state, error, results }: JobRecord): void {
  const fault = error ?? results.find((result) => result?.error)?.error;
  if (fault && fault.code !== 'cancelled' && fault.code !== 'expired') throw new ShoalError(fault.code, fault.detail);
  if (state === 'completed' && fault === undefined) return;
  throw new ShoalError('wait_timeout', 'The result was not ready in time, and its job has been cancelled.');
}
