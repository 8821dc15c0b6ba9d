/** `POST /v1/embeddings`, as OpenAI has it. */
import { Body, Controller, HttpCode, Inject, Post, Req, Res, type StreamableFile } from '@nestjs/common';
import type { EmbeddingsResponse } from '@shoal/intake';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { HeldRequests } from '../http/held-requests.js';
import { jsonStream } from '../http/json-stream.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { EmbeddingsService } from './embeddings.service.js';
import { tellVariant } from './told-variant.js';

@Controller('v1/embeddings')
export class EmbeddingsController {
  constructor(
    @Inject(EmbeddingsService) private readonly embeddings: EmbeddingsService,
    @Inject(HeldRequests) private readonly held: HeldRequests,
  ) {}

  @Post()
  @HttpCode(200)
  async embed(
    @CurrentPermit() permit: Permit,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EmbeddingsResponse | StreamableFile> {
    requireBody(body);
    const trace = request.span?.traceparent;
    const { response, meta } = await this.held.untilHangUp(reply, 'result', (signal) =>
      this.embeddings.embed({ permit, signal, trace }, body),
    );
    tellVariant(reply, meta);
    if (Array.isArray(response.data)) return response;
    return jsonStream(reply, response, permit.resultAtOnce() ?? (await permit.result()));
  }
}
