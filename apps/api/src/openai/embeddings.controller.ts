/** `POST /v1/embeddings`, as OpenAI has it. */
import { Body, Controller, HttpCode, Inject, Post, Res } from '@nestjs/common';
import type { Tenant } from '@shoal/queue';
import type { FastifyReply } from 'fastify';
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
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EmbeddingsResponse> {
    requireBody(body);
    return this.waits.untilHangUp(reply, (signal) => this.embeddings.embed(tenant, body, signal));
  }
}
