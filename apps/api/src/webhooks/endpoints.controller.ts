/** `/v1/webhook-endpoints`: where a tenant's events go. */
import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query, Res } from '@nestjs/common';
import {
  EndpointPatch,
  EndpointRequest,
  type EndpointView,
  parse,
  ReplayRequest,
  RotateRequest,
  type SecretView,
} from '@shoal/contracts';
import type { Tenant } from '@shoal/queue';
import { messageId } from '@shoal/webhooks';
import type { FastifyReply } from 'fastify';
import { requireBody } from '../http/body.js';
import { refuseQuery } from '../http/no-query.js';
import { CurrentTenant } from '../http/tenant.js';
import { readAttemptsQuery } from './attempts-query.js';
import { attemptView, endpointView } from './views.js';
import { Webhooks } from './webhooks.js';

@Controller('v1/webhook-endpoints')
export class EndpointsController {
  constructor(@Inject(Webhooks) private readonly webhooks: Webhooks) {}

  /** Shows the secret, this once. */
  @Post()
  @HttpCode(201)
  async create(
    @CurrentTenant() { name: tenant }: Tenant,
    @Body() body: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EndpointView & Pick<SecretView, 'secret'>> {
    requireBody(body);
    const { url, events, description, disabled, secret } = parse(EndpointRequest, body);
    await this.webhooks.check(url, 'url');
    const endpoint = await this.webhooks.store.createEndpoint(tenant, {
      url,
      events,
      description,
      disabled: disabled ? 'by_request' : null,
      sealed: this.webhooks.seal(tenant, secret),
    });
    reply.header('Location', `/v1/webhook-endpoints/${endpoint.id}`);
    return { ...endpointView(endpoint), secret: this.webhooks.shown(tenant, endpoint.secrets).secret };
  }

  @Get()
  async list(@CurrentTenant() { name: tenant }: Tenant, @Query() query: unknown) {
    refuseQuery(query);
    const endpoints = await this.webhooks.store.endpoints(tenant);
    return { object: 'list', data: endpoints.map(endpointView) };
  }

  @Get(':id')
  async get(
    @CurrentTenant() { name: tenant }: Tenant,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<EndpointView> {
    refuseQuery(query);
    return endpointView(await this.webhooks.store.endpoint(tenant, id));
  }

  @Patch(':id')
  async update(
    @CurrentTenant() { name: tenant }: Tenant,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<EndpointView> {
    requireBody(body);
    const { url, events, description, disabled } = parse(EndpointPatch, body);
    if (url !== undefined) {
      // No name is looked up for an endpoint that is not there.
      await this.webhooks.store.endpoint(tenant, id);
      await this.webhooks.check(url, 'url');
    }
    const changed = await this.webhooks.store.updateEndpoint(tenant, id, {
      ...(url !== undefined && { url }),
      ...(events !== undefined && { events }),
      ...(description !== undefined && { description }),
      ...(disabled !== undefined && { disabled: disabled ? 'by_request' : null }),
    });
    return endpointView(changed);
  }

  @Delete(':id')
  @HttpCode(204)
  async remove(@CurrentTenant() { name: tenant }: Tenant, @Param('id') id: string): Promise<void> {
    await this.webhooks.store.removeEndpoint(tenant, id);
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  async rotate(
    @CurrentTenant() { name: tenant }: Tenant,
    @Param('id') id: string,
    @Body() body: unknown = {},
  ): Promise<SecretView> {
    const { secret, overlap } = parse(RotateRequest, body);
    const sealed = this.webhooks.seal(tenant, secret);
    return this.webhooks.shown(tenant, await this.webhooks.store.rotateSecret(tenant, id, sealed, overlap * 1000));
  }

  @Get(':id/attempts')
  async attempts(@CurrentTenant() { name: tenant }: Tenant, @Param('id') id: string, @Query() query: unknown) {
    const { attempts, next } = await this.webhooks.store.attempts(tenant, id, readAttemptsQuery(query));
    return { object: 'list', data: attempts.map(attemptView), has_more: next !== null, next_cursor: next };
  }

  @Post(':id/replay')
  @HttpCode(202)
  async replay(@CurrentTenant() { name: tenant }: Tenant, @Param('id') id: string, @Body() body: unknown) {
    requireBody(body);
    const request = parse(ReplayRequest, body);
    if ('message' in request) await this.webhooks.store.replay(tenant, id, request.message);
    else await this.webhooks.store.recover(tenant, id, Date.parse(request.since));
    return { object: 'webhook_replay', ...request };
  }

  @Post(':id/test')
  @HttpCode(202)
  async test(@CurrentTenant() { name: tenant }: Tenant, @Param('id') id: string) {
    const message = messageId(this.webhooks.now(), id, randomUUID());
    await this.webhooks.store.test(tenant, id, message);
    return { object: 'webhook_message', id: message };
  }
}
