/** `POST /v1/embeddings`, as OpenAI has it. */
import { Body, Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { Tenant } from '@shoal/queue';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { CurrentTenant } from '../http/tenant.js';
import { Waits } from '../http/waits.js';
import { type EmbeddingsResponse, EmbeddingsService } from './embeddings.service.js';

@Controller('v1/embeddings')
export class EmbeddingsController {
  constructor(
    @Inject(EmbeddingsService) private readonly embeddings: EmbeddingsService,
    @Inject(Waits) private readonly waits: Waits,
  ) {}

  @Post()
  @HttpCode(200)
  async embed(
    @CurrentTenant() tenant: Tenant,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EmbeddingsResponse> {
    requireBody(body);
    const trace = request.span?.traceparent;
    return this.waits.untilHangUp(reply, 'result', (signal) => this.embeddings.embed({ tenant, signal, trace }, body));
  }
}
