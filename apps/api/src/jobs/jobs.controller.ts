/** `/v1/jobs`: one job at a time. */
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
  type StreamableFile,
} from '@nestjs/common';
import { isTerminal, type JobReceipt, type JobRecord, type JobView } from '@shoal/contracts';
import { receiptOf } from '@shoal/models';
import type { Tenant } from '@shoal/queue';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { HeldRequests } from '../http/held-requests.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { readWait } from '../http/prefer.js';
import { CurrentTenant } from '../http/tenant.js';
import { fingerprint, readIdempotencyKey } from './idempotency.js';
import { JobsService } from './jobs.service.js';
import { readListQuery } from './list-query.js';

@Controller('v1/jobs')
export class JobsController {
  constructor(
    @Inject(JobsService) private readonly jobs: JobsService,
    @Inject(HeldRequests) private readonly held: HeldRequests,
  ) {}

  /** 202 with a receipt; 200 with the whole job where it ended in time, or had ended before under the same key. */
  @Post()
  @HttpCode(202)
  async submit(
    @CurrentPermit() permit: Permit,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobReceipt | JobView | StreamableFile> {
    requireBody(body);
    const wait = readWait(request, reply);
    const key = readIdempotencyKey(request);
    const idempotency = key === undefined ? undefined : { key, fingerprint: await fingerprint('/v1/jobs', body) };
    const submission = { body, idempotency, trace: request.span?.traceparent };
    const { id, created } = await this.jobs.submit(permit, submission, { watch: wait > 0 });
    reply.header('Location', `/v1/jobs/${id}`);
    if (created && wait === 0) return receiptOf(id, 'queued');
    const record = await this.read(permit.tenant, id, wait, reply);
    if (!isTerminal(record.state)) return receiptOf(id, record.state);
    reply.code(200);
    return this.jobs.answer(permit, reply, async () => record);
  }

  @Get()
  async list(
    @CurrentPermit() permit: Permit,
    @Query() query: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const filter = readListQuery(query);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const end = await permit.listing();
    const { records, next } = await this.jobs.store.list(permit.tenant.name, filter, gone.signal).finally(end);
    const data = records.map((record) => this.jobs.summary(record));
    return { object: 'list', data, has_more: next !== null, next_cursor: next };
  }

  /** Always 200: with `wait`, as soon as the job has ended or as it stands when the time is over. */
  @Get(':id')
  async get(
    @CurrentPermit() permit: Permit,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobView | StreamableFile> {
    const wait = readWait(request, reply);
    return this.jobs.answer(permit, reply, () => this.read(permit.tenant, id, wait, reply));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentPermit() permit: Permit,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobView | StreamableFile> {
    return this.jobs.answer(permit, reply, () => this.jobs.store.cancel(permit.tenant.name, id));
  }

  @Delete(':id')
  @HttpCode(204)
  async remove(@CurrentTenant() tenant: Tenant, @Param('id') id: string): Promise<void> {
    await this.jobs.store.remove(tenant.name, id);
  }

  private read(tenant: Tenant, id: string, wait: number, reply: FastifyReply): Promise<JobRecord> {
    if (wait === 0) return this.jobs.store.get(tenant.name, id);
    return this.held.untilStop(reply, 'result', (signal) => this.jobs.store.wait(tenant.name, id, wait, signal));
  }
}
