/**
 * Which tenants have endpoints, and for which events: a copy of the view in Redis that every API replica keeps, so that a
 * submission asks nobody. A version is looked at five times a second; the view is read when it has changed.
 */
import { TERMINAL_EVENTS, type WebhookEvent } from '@shoal/contracts';
import type { RedisClient } from '../redis.js';
import { EVENTS_KEY, VERSION_KEY } from './keys.js';
import type { EventFilter } from './types.js';

/** An endpoint is known to every replica after this long and one round trip: 250 ms are promised. */
const INTERVAL_MS = 200;

const NOTHING: EventFilter = { started: false, output: false, ended: false };

export function eventFilter(events: readonly WebhookEvent[]): EventFilter {
  return {
    started: events.includes('job.started'),
    output: events.includes('job.output'),
    ended: events.some((event) => TERMINAL_EVENTS.includes(event)),
  };
}

export function unite(a: EventFilter, b: EventFilter): EventFilter {
  return { started: a.started || b.started, output: a.output || b.output, ended: a.ended || b.ended };
}

export class SubscriptionView {
  readonly #redis: RedisClient;
  #version: string | null | undefined;
  #tenants: ReadonlyMap<string, EventFilter> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** Reads the view, then keeps it fresh until `stop`. Rejects where the first look fails. */
  async start(): Promise<void> {
    await this.look();
    const again = () => {
      this.#timer = setTimeout(() => {
        this.look()
          // Redis is away: the view stays as it was.
          .catch(() => undefined)
          .finally(() => this.#timer && again());
      }, INTERVAL_MS);
    };
    again();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  of(tenant: string): EventFilter {
    return this.#tenants.get(tenant) ?? NOTHING;
  }

  async look(): Promise<void> {
    const version = await this.#redis.get(VERSION_KEY);
    if (version === this.#version) return;
    const view = await this.#redis.hgetall(EVENTS_KEY);
    const tenants = new Map<string, EventFilter>();
    for (const [field, events] of Object.entries(view)) {
      const tenant = field.split(' ', 1)[0]!;
      tenants.set(tenant, unite(tenants.get(tenant) ?? NOTHING, eventFilter(events.split(' ') as WebhookEvent[])));
    }
    this.#tenants = tenants;
    this.#version = version;
  }
}
