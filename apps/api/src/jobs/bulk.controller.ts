/** `POST /v1/jobs/bulk`: up to 1,000 jobs in one call, each accepted or refused by itself. */
import { setImmediate as turn } from 'node:timers/promises';
import { Body, Controller, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { BulkRequest, type JobReceipt, parse, ShoalError } from '@shoal/contracts';
import type { Submission } from '@shoal/intake';
import { receiptOf } from '@shoal/models';
import type { Admitted, Tenant } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { FailureLog } from '../http/failure-log.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { type Problem, problemOf, toShoalError } from '../http/problem.js';
import { fingerprint, readIdempotencyKey } from './idempotency.js';
import { JobsService } from './jobs.service.js';

/** Jobs whose keys are made before other requests have their turn. */
const GROUP = 64;

export type BulkEntry = { readonly index: number; readonly status: number } & (
  | { readonly job: JobReceipt }
  | { readonly error: Problem }
);

@Controller('v1/jobs/bulk')
export class BulkController {
  constructor(
    @Inject(JobsService) private readonly jobs: JobsService,
    @Inject(FailureLog) private readonly failures: FailureLog,
  ) {}

  /** 200 with one entry per job, in order. Paths of an entry's faults start at the entry. */
  @Post()
  @HttpCode(200)
  async submit(@CurrentPermit() permit: Permit, @Body() body: unknown, @Req() request: FastifyRequest) {
    requireBody(body);
    const { jobs } = parse(BulkRequest, body);
    const outcomes = await this.jobs.submitAll(permit, await submissionsOf(jobs, request));
    throwIfUnreachable(outcomes);
    const data = await Promise.all(
      outcomes.map((outcome, index) => this.entryOf(permit.tenant, outcome, index, request)),
    );
    const accepted = data.filter((entry) => 'job' in entry).length;
    return { object: 'list', data, accepted, refused: data.length - accepted };
  }

  private async entryOf(
    tenant: Tenant,
    outcome: Admitted | ShoalError,
    index: number,
    request: FastifyRequest,
  ): Promise<BulkEntry> {
    if (outcome instanceof ShoalError) return this.refusal(outcome, index, request);
    const { id, created } = outcome;
    try {
      const status = created ? 'queued' : (await this.jobs.store.get(tenant.name, id)).state;
      return { index, status: 202, job: receiptOf(id, status) };
    } catch (error) {
      // An earlier call's job, which has been erased or has expired just now.
      return this.refusal(toShoalError(error), index, request);
    }
  }

  private refusal(error: ShoalError, index: number, request: FastifyRequest): BulkEntry {
    this.failures.write(error, request);
    return { index, status: error.status, error: problemOf(error, request.id) };
  }
}

/** Each job has a key of its own, so that a call that was half done is completed by repeating it. */
async function submissionsOf(jobs: readonly unknown[], request: FastifyRequest): Promise<Submission[]> {
  const key = readIdempotencyKey(request);
  const trace = request.span?.traceparent;
  if (key === undefined) return jobs.map((body) => ({ body, trace }));
  const submissions: Submission[] = [];
  for (const [index, body] of jobs.entries()) {
    if (index % GROUP === GROUP - 1) await turn();
    const idempotency = { key: `${key}/${index}`, fingerprint: await fingerprint('/v1/jobs/bulk', body) };
    submissions.push({ body, trace, idempotency });
  }
  return submissions;
}

/** Where Redis could not be asked about any job, the call as a whole is to be repeated, with the same key. */
function throwIfUnreachable(outcomes: readonly (Admitted | ShoalError)[]): void {
  const unreachable = outcomes.find((outcome) => outcome instanceof ShoalError && outcome.code === 'redis_unavailable');
  if (unreachable && outcomes.every((outcome) => outcome instanceof ShoalError)) throw unreachable;
}
