/** `/v1/models`: what is served, as OpenAI lists it; one model's card adds task, limits and a request that runs. */
import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { ModelCard } from '@shoal/contracts';
import type { Encoder } from '@shoal/models';
import type { FastifyRequest } from 'fastify';
import { JobsService } from '../jobs/jobs.service.js';
import { Catalog } from './catalog.js';

@Controller('v1/models')
export class ModelsController {
  constructor(
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(JobsService) private readonly jobs: JobsService,
  ) {}

  @Get()
  list() {
    return { object: 'list', data: this.catalog.list().map(listed) };
  }

  @Get(':name')
  async get(@Param('name') name: string, @Req() request: FastifyRequest): Promise<ModelCard> {
    const encoder = this.catalog.get(name);
    return encoder.card(`${request.protocol}://${request.host}`, await this.jobs.joiningOf(encoder.model));
  }
}

function listed({ model }: Encoder): Pick<ModelCard, 'id' | 'object' | 'created' | 'owned_by'> {
  return { id: model.name, object: 'model', created: model.created, owned_by: 'shoal' };
}
