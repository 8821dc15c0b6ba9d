/**
 * Registered endpoints, one hash each. Beside them stands a view over all tenants of who wants which events, for the API
 * (subscriptions.ts): it is widened before an endpoint and narrowed after, so that a crash between the two can only tell too much,
 * which the reader of the outbox drops.
 */
import { type DisabledReason, MAX_ENDPOINTS, ShoalError, type WebhookEvent } from '@shoal/contracts';
import { newUlid } from '../keys.js';
import type { RedisClient } from '../redis.js';
import { script } from '../scripts.js';
import { EVENTS_KEY, tenantTag, VERSION_KEY } from './keys.js';
import { changeSecrets, formatSecrets, parseSecrets, rotate } from './secrets.js';
import type { Endpoint, EndpointChanges, NewEndpoint, SealedSecret } from './types.js';

const createScript = script<0 | 1>('webhooks/create-endpoint.lua');
const updateScript = script<0 | 1>('webhooks/update-endpoint.lua');

export class Endpoints {
  readonly #redis: RedisClient;
  readonly #clock: () => number;

  constructor(redis: RedisClient, clock: () => number) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** All of a tenant, the oldest first. */
  async list(tenant: string): Promise<Endpoint[]> {
    const ids = await this.#redis.zrange(`${tenantTag(tenant)}:endpoints`, '0', '-1');
    const found = await Promise.all(ids.map((id) => this.find(tenant, id)));
    return found.filter((endpoint) => endpoint !== null);
  }

  async find(tenant: string, id: string): Promise<Endpoint | null> {
    const fields = await this.#redis.hgetall(`${tenantTag(tenant)}${endpointKey(id)}`);
    return fields.url === undefined ? null : parseEndpoint(id, fields);
  }

  /** Throws `endpoint_not_found`. */
  async get(tenant: string, id: string): Promise<Endpoint> {
    return (await this.find(tenant, id)) ?? notFound();
  }

  /** Throws `limit_reached`. */
  async create(tenant: string, endpoint: NewEndpoint): Promise<Endpoint> {
    const now = this.#clock();
    const id = `ep_${newUlid(now)}`;
    const secrets: SealedSecret[] = [{ sealed: endpoint.sealed, until: null }];
    if (endpoint.disabled === null) await this.#show(tenant, id, endpoint.events);
    const fields = [...fieldsOf(endpoint), 'secrets', formatSecrets(secrets)];
    const args = [id, now, MAX_ENDPOINTS, ...fields];
    if ((await createScript(this.#redis, tenantTag(tenant), args)) === 1) {
      const { sealed: _, ...shown } = endpoint;
      return { id, ...shown, createdAt: now, secrets };
    }
    await this.#hide(tenant, id);
    throw new ShoalError('limit_reached', `there are ${MAX_ENDPOINTS} endpoints; delete one first`);
  }

  /** Throws `endpoint_not_found`. */
  async update(tenant: string, id: string, changes: EndpointChanges): Promise<Endpoint> {
    const before = await this.get(tenant, id);
    const after = { ...before, ...changes };
    const seen = [...new Set([...before.events, ...after.events])];
    if (after.disabled === null) await this.#show(tenant, id, seen);
    const args = [id, ...fieldsOf(changes)];
    if ((await updateScript(this.#redis, tenantTag(tenant), args)) !== 1) {
      await this.#hide(tenant, id);
      return notFound();
    }
    if (after.disabled !== null) await this.#hide(tenant, id);
    else if (seen.length > after.events.length) await this.#show(tenant, id, after.events);
    return after;
  }

  /** Throws `endpoint_not_found`. Messages that wait for it are given up when it is their turn. */
  async remove(tenant: string, id: string): Promise<void> {
    const tag = tenantTag(tenant);
    const removed = await this.#redis.zrem(`${tag}:endpoints`, id);
    const kinds = ['attempts', 'pending', 'failed', 'settled'];
    await this.#redis.unlink(`${tag}${endpointKey(id)}`, ...kinds.map((kind) => `${tag}:${kind}:${id}`));
    await this.#hide(tenant, id);
    if (removed === 0) notFound();
  }

  /** `sealed` becomes the secret in use. Throws `endpoint_not_found`, `limit_reached`. */
  async rotate(tenant: string, id: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]> {
    const now = this.#clock();
    return changeSecrets(this.#redis, tenant, endpointKey(id), (before) => {
      return before.length === 0 ? notFound() : rotate(before, sealed, overlapMs, now);
    });
  }

  /** The endpoint was disabled by what an attempt told. */
  async noteDisabled(tenant: string, id: string): Promise<void> {
    await this.#hide(tenant, id);
  }

  async #show(tenant: string, id: string, events: readonly WebhookEvent[]): Promise<void> {
    const field = `${tenant} ${id}`;
    await this.#redis.multi().hset(EVENTS_KEY, field, events.join(' ')).incr(VERSION_KEY).exec();
  }

  async #hide(tenant: string, id: string): Promise<void> {
    await this.#redis.multi().hdel(EVENTS_KEY, `${tenant} ${id}`).incr(VERSION_KEY).exec();
  }
}

function endpointKey(id: string): string {
  return `:endpoint:${id}`;
}

function fieldsOf({ url, events, description, disabled }: EndpointChanges): string[] {
  return [
    ...(url === undefined ? [] : ['url', url]),
    ...(events === undefined ? [] : ['events', events.join(' ')]),
    ...(description === undefined ? [] : ['description', description]),
    ...(disabled === undefined ? [] : ['disabled', disabled ?? '']),
  ];
}

function parseEndpoint(id: string, fields: Record<string, string>): Endpoint {
  return {
    id,
    url: fields.url ?? '',
    events: (fields.events ?? '').split(' ') as WebhookEvent[],
    description: fields.description ?? '',
    disabled: (fields.disabled || null) as DisabledReason | null,
    createdAt: Number(fields.created),
    secrets: parseSecrets(fields.secrets),
  };
}

function notFound(): never {
  throw new ShoalError('endpoint_not_found', 'there is no such webhook endpoint');
}
