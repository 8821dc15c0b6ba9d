/** `/v1/models`: what is served, as OpenAI lists it; one model's card adds task, limits and a request that runs. */
import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { type ListedModel, type ModelCard, parseSelector, ShoalError } from '@shoal/contracts';
import { Catalog } from '@shoal/intake';
import type { ModelFace } from '@shoal/models';
import type { Tenant } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';
import { refuseQuery } from '../http/no-query.js';
import { CurrentTenant } from '../http/tenant.js';
import { JobsService } from '../jobs/jobs.service.js';

/** Injects AdminSettings. */
export const ADMIN_SETTINGS = Symbol('admin settings');

/** Who may say which models are loaded, and how that is left for workers. */
export interface AdminSettings {
  /** Names of tenants; undefined: whoever calls. */
  readonly admins: readonly string[] | undefined;
  /** Rejects with `redis_unavailable`. */
  readonly wish: (selector: string, wish: 'load' | 'unload') => Promise<void>;
}

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
    @Inject(ADMIN_SETTINGS) private readonly admin: AdminSettings,
  ) {}

  @Get()
  list(@Query() query: unknown) {
    refuseQuery(query);
    const models = this.catalog.list().map((face) => this.listed(face, face.model.name));
    const aliases = this.catalog.aliases().map(({ alias, face }) => this.listed(face, alias));
    return { object: 'list', data: [...models, ...aliases] };
  }

  /** The rest of the path: names as Hugging Face has them, such as `BAAI/bge-small-en-v1.5`, may come as they are. */
  @Get('*')
  async get(@Req() request: FastifyRequest): Promise<ModelCard> {
    refuseQuery(request.query);
    const { '*': name } = request.params as { readonly '*': string };
    return await this.card(request, name);
  }

  @Post(':name/load')
  @HttpCode(202)
  async load(@CurrentTenant() tenant: Tenant, @Param('name') name: string, @Req() request: FastifyRequest) {
    return await this.wish(tenant, name, 'load', request);
  }

  @Post(':name/unload')
  @HttpCode(202)
  async unload(@CurrentTenant() tenant: Tenant, @Param('name') name: string, @Req() request: FastifyRequest) {
    return await this.wish(tenant, name, 'unload', request);
  }

  private async wish(
    tenant: Tenant,
    name: string,
    wish: 'load' | 'unload',
    request: FastifyRequest,
  ): Promise<ModelCard> {
    refuseQuery(request.query);
    const { admins } = this.admin;
    if (admins !== undefined && !admins.includes(tenant.name)) {
      throw new ShoalError('not_permitted', 'Only tenants that SHOAL_ADMINS names may load and unload models.');
    }
    const { face } = this.catalog.find(name);
    if (parseSelector(name).name !== face.model.name) {
      const message = `${name} is another name for models: name the one that is meant`;
      throw new ShoalError('invalid_request', message, { faults: [{ path: 'name', message }] });
    }
    await this.admin.wish(name, wish);
    return await this.card(request, name);
  }

  private async card(request: FastifyRequest, name: string): Promise<ModelCard> {
    const { publicUrl, keys } = this.settings;
    const { face, model } = this.catalog.find(name);
    const origin = publicUrl ?? `${request.protocol}://${request.host}`;
    const card = face.card(origin, await this.jobs.joiningOf(model), keys, name);
    const standIns = this.standIns(name);
    const targets = standIns.stands_for?.map((one) => parseSelector(one.model).name) ?? [face.model.name];
    return { ...card, ...standIns, served: [...new Set(targets)].flatMap((target) => this.catalog.served(target)) };
  }

  private listed({ model: { created, task, generator } }: ModelFace, id: string): ListedModel {
    const context = generator && { max_model_len: generator.maxContext };
    return { id, object: 'model', created, owned_by: 'shoal', task, ...context, ...this.standIns(id) };
  }

  private standIns(name: string): Pick<ListedModel, 'stands_for'> {
    const shares = this.catalog.sharesOf(name);
    return shares === undefined ? {} : { stands_for: shares.map(({ target, weight }) => ({ model: target, weight })) };
  }
}
