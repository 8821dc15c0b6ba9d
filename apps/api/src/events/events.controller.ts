/** `/v1/jobs/{id}/events`: what happens to a job, as server-sent events. */
import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import { EventsUrlRequest, type EventsUrlView, parse, ShoalError } from '@shoal/contracts';
import { type JobProgress, parseJobId, type Tenant } from '@shoal/queue';
import type { FastifyReply } from 'fastify';
import { EventStream } from '../http/event-stream.js';
import { HeldRequests } from '../http/held-requests.js';
import { CurrentTenant } from '../http/tenant.js';
import { JobsService } from '../jobs/jobs.service.js';
import { EventUrls } from './event-urls.js';
import { isAtEnd, JobEvents, type Position, readPosition } from './job-events.js';

@Controller('v1/jobs')
export class EventsController {
  constructor(
    @Inject(JobsService) private readonly jobs: JobsService,
    @Inject(HeldRequests) private readonly held: HeldRequests,
    @Inject(EventUrls) private readonly urls: EventUrls,
  ) {}

  /** An address of the events for a reader that cannot send a key. */
  @Post(':id/events/url')
  @HttpCode(200)
  url(
    @Param('id') id: string,
    @Body() body: unknown,
    @Headers('authorization') authorization: string | undefined,
  ): EventsUrlView {
    if (parseJobId(id) === null) throw new ShoalError('job_not_found', 'there is no such job, or it has expired');
    const { expires_in } = parse(EventsUrlRequest, body ?? {});
    const { url, expiresAt } = this.urls.sign(authorization, id, expires_in);
    return { object: 'events_url', url, expires_at: expiresAt };
  }

  /** Ends after the job's last event; 204 where that was the last one the reader had, which stops an EventSource. */
  @Get(':id/events')
  async events(
    @CurrentTenant() tenant: Tenant,
    @Param('id') id: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const position = readPosition(lastEventId);
    if (isAtEnd(position)) {
      reply.code(204).send();
      return;
    }
    await this.held.untilStop(reply, 'events', async (signal) => {
      const looks = this.jobs.store.follow(tenant.name, id, position, signal);
      // Before the head is sent: whatever is wrong is still an answer of its own.
      const first = await looks.next();
      const stream = new EventStream(reply, signal, { reconnects: true });
      try {
        if (!first.done) await this.send(stream, first.value, looks, position);
      } finally {
        stream.end();
      }
    });
  }

  private async send(
    stream: EventStream,
    first: JobProgress,
    looks: AsyncGenerator<JobProgress, void>,
    position: Position,
  ): Promise<void> {
    const events = new JobEvents(this.jobs.presenterOf(first.record), position);
    try {
      for (const event of events.next(first)) await stream.send(event);
      for await (const progress of looks) {
        for (const event of events.next(progress)) await stream.send(event);
      }
    } catch (error) {
      if (!(error instanceof ShoalError && error.code === 'job_not_found')) throw error;
      await stream.send({ id: 'end', type: 'job.deleted', data: { id: first.record.id } });
    }
  }
}
