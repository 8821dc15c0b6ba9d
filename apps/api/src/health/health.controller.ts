/** Probes: `/healthz` says that the process answers, `/readyz` that it can take jobs. */
import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readiness } from './readiness.js';

@Controller()
export class HealthController {
  constructor(@Inject(Readiness) private readonly readiness: Readiness) {}

  @Get('healthz')
  health() {
    return { status: 'ok' };
  }

  @Get('readyz')
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const obstacle = await this.readiness.obstacle();
    if (obstacle === null) return { status: 'ready' };
    reply.code(503);
    return { status: 'not ready', reason: obstacle };
  }
}
