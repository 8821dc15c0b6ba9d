/** The API's side of webhooks: endpoints, secrets, attempts, and what is asked of the process that delivers. */
import { ShoalError } from '@shoal/contracts';
import { checkRedis } from '../check-redis.js';
import { openFailFast, type RedisClient, type RedisTarget } from '../redis.js';
import { redisError } from '../redis-errors.js';
import { Endpoints } from './endpoints.js';
import { Messages } from './messages.js';
import { addTask } from './outbox.js';
import { changeSecrets, rotate, TENANT_SECRET } from './secrets.js';
import { SubscriptionView } from './subscriptions.js';
import type { AttemptPage, Endpoint, EndpointChanges, EventFilter, NewEndpoint, SealedSecret } from './types.js';

/** Every method throws ShoalError: `endpoint_not_found` where the tenant has no such endpoint, `redis_unavailable`. */
export interface WebhookStore {
  /** Which events any of the tenant's endpoints wants, at most 250 ms old while Redis answers. */
  subscribed(tenant: string): EventFilter;
  endpoints(tenant: string): Promise<Endpoint[]>;
  endpoint(tenant: string, id: string): Promise<Endpoint>;
  /** Throws `limit_reached`. */
  createEndpoint(tenant: string, endpoint: NewEndpoint): Promise<Endpoint>;
  updateEndpoint(tenant: string, id: string, changes: EndpointChanges): Promise<Endpoint>;
  removeEndpoint(tenant: string, id: string): Promise<void>;
  /** Throws `limit_reached`. */
  rotateSecret(tenant: string, id: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]>;
  /** The tenant's own secrets; `sealed` becomes the first one where there is none. */
  tenantSecrets(tenant: string, sealed: string): Promise<readonly SealedSecret[]>;
  rotateTenantSecret(tenant: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]>;
  attempts(
    tenant: string,
    id: string,
    page: { readonly limit: number; readonly cursor?: string; readonly message?: string },
  ): Promise<AttemptPage>;
  /** Throws `message_not_found`, `tenant_backlog_full`. */
  replay(tenant: string, id: string, message: string): Promise<void>;
  /** All that was given up, of events since `since` in Unix ms. Throws `tenant_backlog_full`. */
  recover(tenant: string, id: string, since: number): Promise<void>;
  /** Sends a test event under this message id. Throws `tenant_backlog_full`. */
  test(tenant: string, id: string, message: string): Promise<void>;
}

export interface WebhookStoreOptions extends RedisTarget {
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

export type OpenWebhookStore = WebhookStore & { close(): void };

/** Connects and reads the view. Throws `redis_unavailable` where Redis does not answer in 5 s. */
export async function openWebhookStore(options: WebhookStoreOptions): Promise<OpenWebhookStore> {
  const redis = openFailFast(options, options.onError);
  const view = new SubscriptionView(redis);
  try {
    await checkRedis(redis, options, { role: 'api', onWarning: options.onError });
    await view.start();
  } catch (error) {
    redis.disconnect();
    throw redisError(error);
  }
  return new RedisWebhookStore(redis, view, options.clock);
}

class RedisWebhookStore implements OpenWebhookStore {
  readonly #redis: RedisClient;
  readonly #view: SubscriptionView;
  readonly #clock: () => number;
  readonly #endpoints: Endpoints;
  readonly #messages: Messages;

  constructor(redis: RedisClient, view: SubscriptionView, clock: () => number) {
    this.#redis = redis;
    this.#view = view;
    this.#clock = clock;
    this.#endpoints = new Endpoints(redis, clock);
    this.#messages = new Messages(redis);
  }

  subscribed(tenant: string): EventFilter {
    return this.#view.of(tenant);
  }

  endpoints(tenant: string): Promise<Endpoint[]> {
    return this.#try(() => this.#endpoints.list(tenant));
  }

  endpoint(tenant: string, id: string): Promise<Endpoint> {
    return this.#try(() => this.#endpoints.get(tenant, id));
  }

  createEndpoint(tenant: string, endpoint: NewEndpoint): Promise<Endpoint> {
    return this.#change(() => this.#endpoints.create(tenant, endpoint));
  }

  updateEndpoint(tenant: string, id: string, changes: EndpointChanges): Promise<Endpoint> {
    return this.#change(() => this.#endpoints.update(tenant, id, changes));
  }

  removeEndpoint(tenant: string, id: string): Promise<void> {
    return this.#change(() => this.#endpoints.remove(tenant, id));
  }

  rotateSecret(tenant: string, id: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]> {
    return this.#try(() => this.#endpoints.rotate(tenant, id, sealed, overlapMs));
  }

  tenantSecrets(tenant: string, sealed: string): Promise<readonly SealedSecret[]> {
    const first = (before: readonly SealedSecret[]) => (before.length > 0 ? before : [{ sealed, until: null }]);
    return this.#try(() => changeSecrets(this.#redis, tenant, TENANT_SECRET, first));
  }

  rotateTenantSecret(tenant: string, sealed: string, overlapMs: number): Promise<readonly SealedSecret[]> {
    const now = this.#clock();
    return this.#try(() =>
      changeSecrets(this.#redis, tenant, TENANT_SECRET, (before) => rotate(before, sealed, overlapMs, now)),
    );
  }

  async attempts(tenant: string, id: string, page: Parameters<Messages['attempts']>[2]): Promise<AttemptPage> {
    await this.endpoint(tenant, id);
    return this.#try(() => this.#messages.attempts(tenant, id, page));
  }

  async replay(tenant: string, id: string, message: string): Promise<void> {
    await this.endpoint(tenant, id);
    await this.#try(async () => {
      const found = await this.#messages.find(tenant, message);
      if (found?.destination !== id) {
        throw new ShoalError('message_not_found', 'this endpoint has no such message, or it has been forgotten');
      }
      await addTask(this.#redis, { kind: 'replay', tenant, endpoint: id, message });
    });
  }

  async recover(tenant: string, id: string, since: number): Promise<void> {
    await this.endpoint(tenant, id);
    await this.#try(() => addTask(this.#redis, { kind: 'recover', tenant, endpoint: id, since }));
  }

  async test(tenant: string, id: string, message: string): Promise<void> {
    await this.endpoint(tenant, id);
    const at = this.#clock();
    await this.#try(() => addTask(this.#redis, { kind: 'test', tenant, endpoint: id, message, at }));
  }

  close(): void {
    this.#view.stop();
    this.#redis.disconnect();
  }

  /** This replica knows at once; the others within 250 ms. */
  #change<T>(command: () => Promise<T>): Promise<T> {
    return this.#try(async () => {
      const result = await command();
      await this.#view.look();
      return result;
    });
  }

  async #try<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw redisError(error);
    }
  }
}
