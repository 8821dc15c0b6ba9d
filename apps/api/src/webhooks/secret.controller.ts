/** `/v1/webhook-secret`: the tenant's own secret, which signs webhooks of jobs that name none. */
import { Body, Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import { parse, RotateRequest, type SecretView } from '@shoal/contracts';
import type { Tenant } from '@shoal/queue';
import { CurrentTenant } from '../http/tenant.js';
import { Webhooks } from './webhooks.js';

@Controller('v1/webhook-secret')
export class SecretController {
  constructor(@Inject(Webhooks) private readonly webhooks: Webhooks) {}

  @Get()
  async get(@CurrentTenant() { name: tenant }: Tenant): Promise<SecretView> {
    return this.webhooks.shown(tenant, await this.webhooks.tenantSecrets(tenant));
  }

  @Post('rotate')
  @HttpCode(200)
  async rotate(@CurrentTenant() { name: tenant }: Tenant, @Body() body: unknown = {}): Promise<SecretView> {
    const { secret, overlap } = parse(RotateRequest, body);
    const { store } = this.webhooks;
    const sealed = this.webhooks.seal(tenant, secret);
    return this.webhooks.shown(tenant, await store.rotateTenantSecret(tenant, sealed, overlap * 1000));
  }
}
