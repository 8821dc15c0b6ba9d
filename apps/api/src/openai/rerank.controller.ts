/** `POST /v1/rerank` (Cohere, Jina), `/v2/rerank` (Cohere's newer clients) and `/rerank` (text-embeddings-inference). */
import { Body, Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { RerankResponse, TextsRerankResponse } from '@shoal/intake';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { HeldRequests } from '../http/held-requests.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { faceOf } from './faces.js';
import { RerankService } from './rerank.service.js';
import { tellVariant } from './told-variant.js';

@Controller()
export class RerankController {
  constructor(
    @Inject(RerankService) private readonly reranking: RerankService,
    @Inject(HeldRequests) private readonly held: HeldRequests,
  ) {}

  /** Each path takes both shapes: what was sent decides what is answered, then the path. */
  @Post(['v1/rerank', 'v2/rerank', 'rerank'])
  @HttpCode(200)
  async rerank(
    @CurrentPermit() permit: Permit,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RerankResponse | TextsRerankResponse> {
    requireBody(body);
    const trace = request.span?.traceparent;
    const face = faceOf(request.routeOptions.url ?? '');
    const { response, meta } = await this.held.untilHangUp(reply, 'result', (signal) =>
      this.reranking.rerank({ permit, signal, trace }, body, request.id, face),
    );
    tellVariant(reply, meta);
    return response;
  }
}
