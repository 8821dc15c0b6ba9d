/** A WebhookStore in memory. */
import { ShoalError } from '@shoal/contracts';
import {
  type AttemptPage,
  type Endpoint,
  type EndpointChanges,
  type EventFilter,
  eventFilter,
  type LoggedAttempt,
  type NewEndpoint,
  type SealedSecret,
  unite,
  type WebhookStore,
} from '@shoal/queue';

const NOW = Date.UTC(2026, 0, 1);

export class FakeWebhookStore implements WebhookStore {
  readonly all = new Map<string, Endpoint & { readonly tenant: string }>();
  readonly secrets = new Map<string, readonly SealedSecret[]>();
  /** What the log of every endpoint holds. */
  logged: LoggedAttempt[] = [];
  /** Calls of `replay`, `recover` and `test`. */
  readonly tasks: unknown[][] = [];

  subscribed(tenant: string): EventFilter {
    const wanted = [...this.all.values()].filter((one) => one.tenant === tenant && one.disabled === null);
    const nothing = { started: false, output: false, ended: false };
    return wanted.map(({ events }) => eventFilter(events)).reduce(unite, nothing);
  }

  async endpoints(tenant: string): Promise<Endpoint[]> {
    return [...this.all.values()].filter((endpoint) => endpoint.tenant === tenant);
  }

  async endpoint(tenant: string, id: string): Promise<Endpoint> {
    const found = this.all.get(id);
    if (found?.tenant === tenant) return found;
    throw new ShoalError('endpoint_not_found', 'there is no such webhook endpoint');
  }

  async createEndpoint(tenant: string, { sealed, ...rest }: NewEndpoint): Promise<Endpoint> {
    const id = `ep_${this.all.size + 1}`;
    const endpoint = { id, tenant, ...rest, createdAt: NOW, secrets: [{ sealed, until: null }] };
    this.all.set(id, endpoint);
    return endpoint;
  }

  async updateEndpoint(tenant: string, id: string, changes: EndpointChanges): Promise<Endpoint> {
    const endpoint = { ...(await this.endpoint(tenant, id)), ...changes, tenant };
    this.all.set(id, endpoint);
    return endpoint;
  }

  async removeEndpoint(tenant: string, id: string): Promise<void> {
    await this.endpoint(tenant, id);
    this.all.delete(id);
  }

  async rotateSecret(tenant: string, id: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]> {
    const endpoint = await this.endpoint(tenant, id);
    const secrets = rotated(endpoint.secrets, sealed, overlapMs);
    this.all.set(id, { ...endpoint, tenant, secrets });
    return secrets;
  }

  async tenantSecrets(tenant: string, sealed: string): Promise<readonly SealedSecret[]> {
    const secrets = this.secrets.get(tenant) ?? [{ sealed, until: null }];
    this.secrets.set(tenant, secrets);
    return secrets;
  }

  async rotateTenantSecret(tenant: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]> {
    const secrets = rotated(this.secrets.get(tenant) ?? [], sealed, overlapMs);
    this.secrets.set(tenant, secrets);
    return secrets;
  }

  async attempts(tenant: string, id: string, { limit }: { readonly limit: number }): Promise<AttemptPage> {
    await this.endpoint(tenant, id);
    return { attempts: this.logged.slice(0, limit), next: this.logged.length > limit ? '7-0' : null };
  }

  async replay(tenant: string, id: string, message: string): Promise<void> {
    await this.endpoint(tenant, id);
    if (message === 'msg_none') throw new ShoalError('message_not_found', 'this endpoint has no such message');
    this.tasks.push(['replay', id, message]);
  }

  async recover(tenant: string, id: string, since: number): Promise<void> {
    await this.endpoint(tenant, id);
    this.tasks.push(['recover', id, since]);
  }

  async test(tenant: string, id: string, message: string): Promise<void> {
    await this.endpoint(tenant, id);
    this.tasks.push(['test', id, message]);
  }
}

function rotated(before: readonly SealedSecret[], sealed: string, overlapMs: number): SealedSecret[] {
  return [{ sealed, until: null }, ...before.map((secret) => ({ ...secret, until: Date.now() + overlapMs }))];
}
