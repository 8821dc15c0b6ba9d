/** `/v1/models`: what is served, as OpenAI lists it; one model's card adds task, limits and a request that runs. */
import { Controller, Get, Inject, Query, Req } from '@nestjs/common';
import type { ListedModel, ModelCard } from '@shoal/contracts';
import type { ModelFace } from '@shoal/models';
import type { FastifyRequest } from 'fastify';
import { refuseQuery } from '../http/no-query.js';
import { JobsService } from '../jobs/jobs.service.js';
import { Catalog } from './catalog.js';

/** Injects CardSettings. */
export const CARD_SETTINGS = Symbol('card settings');

/** What models' cards say of this API. */
export interface CardSettings {
  /** Where callers reach it, without a slash at the end; undefined: as the request says. */
  readonly publicUrl: string | undefined;
  /** Whether they need an API key. */
  readonly keys: boolean;
}

@Controller('v1/models')
export class ModelsController {
  constructor(
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(JobsService) private readonly jobs: JobsService,
    @Inject(CARD_SETTINGS) private readonly settings: CardSettings,
  ) {}

  @Get()
  list(@Query() query: unknown) {
    refuseQuery(query);
    const models = this.catalog.list().map((face) => listed(face, face.model.name));
    return {
      object: 'list',
      data: [...models, ...this.catalog.aliases().map(({ alias, face }) => listed(face, alias))],
    };
  }

  /** The rest of the path: names as Hugging Face has them, such as `BAAI/bge-small-en-v1.5`, may come as they are. */
  @Get('*')
  async get(@Req() request: FastifyRequest): Promise<ModelCard> {
    refuseQuery(request.query);
    const { '*': name } = request.params as { readonly '*': string };
    const { publicUrl, keys } = this.settings;
    const { face, model } = this.catalog.choose(name, 0);
    const origin = publicUrl ?? `${request.protocol}://${request.host}`;
    return face.card(origin, await this.jobs.joiningOf(model), keys);
  }
}

function listed({ model: { created, task, generator } }: ModelFace, id: string): ListedModel {
  const context = generator && { max_model_len: generator.maxContext };
  return { id, object: 'model', created, owned_by: 'shoal', task, ...context };
}
