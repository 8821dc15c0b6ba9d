/** What webhooks ask of a request: a destination that may be called, a secret that is sealed, and who is to be told. */
import { type EndpointRequest, type SecretView, ShoalError, type WebhookRequest } from '@shoal/contracts';
import type { PreparedWebhook } from '@shoal/intake';
import type { AllowList } from '@shoal/network';
import { eventFilter, liveSecrets, type SealedSecret, unite, type WebhookStore } from '@shoal/queue';
import { newSecret, parseDestination, type Resolve, resolveDestination, type SecretBox } from '@shoal/webhooks';

/** A secret that Redis has lost is made anew after this long. */
const SECRET_KNOWN_MS = 60_000;

export interface WebhookParts {
  readonly store: WebhookStore;
  /** Null where no key is configured: then nothing can be signed. */
  readonly box: SecretBox | null;
  readonly allow: AllowList;
  readonly resolve: Resolve;
  /** Unix ms. */
  readonly clock: () => number;
}

export class Webhooks {
  readonly #parts: WebhookParts;
  /** Until when in Unix ms a tenant is known to have a secret of its own. */
  readonly #haveSecret = new Map<string, number>();

  constructor(parts: WebhookParts) {
    this.#parts = parts;
  }

  /** Throws `webhooks_unavailable` where none can be delivered. */
  get store(): WebhookStore {
    this.#box();
    return this.#parts.store;
  }

  now(): number {
    return this.#parts.clock();
  }

  /**
   * For a new job. Throws `destination_not_allowed`, `webhooks_unavailable`.
   */
  async prepare(tenant: string, request: WebhookRequest | undefined): Promise<PreparedWebhook> {
    const subscribed = this.#parts.store.subscribed(tenant);
    if (request === undefined) return { webhookEvents: subscribed };
    const { url, events, secret } = request;
    await this.check(url, 'webhook.url');
    if (secret === undefined) await this.#ensureSecret(tenant);
    const sealed = secret === undefined ? {} : { secret: this.seal(tenant, secret) };
    return { webhook: { url, events, ...sealed }, webhookEvents: unite(subscribed, eventFilter(events)) };
  }

  /** Throws `destination_not_allowed`, whose fault is at `path`. */
  async check(url: string, path: string): Promise<void> {
    const { allow, resolve } = this.#parts;
    this.#box();
    try {
      const destination = parseDestination(url, allow);
      await resolveDestination(destination, resolve, allow);
    } catch (error) {
      // DNS does not answer: every attempt asks again.
      if (!(error instanceof ShoalError)) return;
      const faults = error.faults.map(({ message }) => ({ path, message }));
      throw new ShoalError(error.code, faults.map(({ message }) => `${path} ${message}`).join('; '), { faults });
    }
  }

  seal(tenant: string, secret: EndpointRequest['secret']): string {
    return this.#box().seal(secret ?? newSecret(), tenant);
  }

  /** The tenant's own secret, made when it is first asked for. */
  tenantSecrets(tenant: string): Promise<readonly SealedSecret[]> {
    return this.store.tenantSecrets(tenant, this.seal(tenant, undefined));
  }

  /** The secret in use and until when those before it sign. */
  shown(tenant: string, secrets: readonly SealedSecret[]): SecretView {
    const [inUse, ...before] = liveSecrets(secrets, this.now());
    return {
      object: 'webhook_secret',
      secret: this.#box().open(inUse!.sealed, tenant),
      overlapping_until: before.map(({ until }) => new Date(until ?? 0).toISOString()),
    };
  }

  async #ensureSecret(tenant: string): Promise<void> {
    if ((this.#haveSecret.get(tenant) ?? 0) > this.now()) return;
    await this.tenantSecrets(tenant);
    this.#haveSecret.set(tenant, this.now() + SECRET_KNOWN_MS);
  }

  #box(): SecretBox {
    const { box } = this.#parts;
    if (box !== null) return box;
    throw new ShoalError('webhooks_unavailable', 'Whoever runs this server has to set SHOAL_SECRET_KEY first.');
  }
}
