/** What the process that delivers webhooks tells of itself; names and units as in metrics.ts. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** 5 ms to 20 s, doubling: an attempt may take 15 s. */
const ATTEMPT_SECONDS = Array.from({ length: 13 }, (_, power) => 0.005 * 2 ** power);

export type WebhookMetrics = ReturnType<typeof createWebhookMetrics>;

/** Messages that are not settled, by state. */
export type Backlog = Readonly<Record<'due' | 'delayed' | 'sending', number>>;

/** `backlog` is asked at each scrape. Call once per registry. */
export function createWebhookMetrics(registry: Registry, backlog?: () => Promise<Backlog | undefined>) {
  const registers = [registry];
  return {
    backlog: new Gauge({
      name: 'shoal_webhook_backlog',
      help: 'Messages of all webhooks processes that are due, delayed (until their next attempt or turn) or being sent.',
      labelNames: ['state'],
      registers,
      async collect() {
        for (const [state, count] of Object.entries((await backlog?.()) ?? {})) this.set({ state }, count);
      },
    }),
    events: new Counter({
      name: 'shoal_webhook_events_total',
      help: 'Events of jobs that were read from outboxes, by type.',
      labelNames: ['type'],
      registers,
    }),
    messages: new Counter({
      name: 'shoal_webhook_messages_total',
      help: 'Messages by what became of them: created, delivered, failed (given up), superseded.',
      labelNames: ['state'],
      registers,
    }),
    attempts: new Counter({
      name: 'shoal_webhook_attempts_total',
      help: 'Attempts by outcome: delivered, refused (status of 300 or more), or why there was no answer.',
      labelNames: ['outcome'],
      registers,
    }),
    attemptDuration: new Histogram({
      name: 'shoal_webhook_attempt_duration_seconds',
      help: 'One attempt, from name resolution to the answer.',
      buckets: ATTEMPT_SECONDS,
      registers,
    }),
    inFlight: new Gauge({
      name: 'shoal_webhook_attempts_in_flight',
      help: 'Attempts that are being made.',
      registers,
    }),
    deferred: new Counter({
      name: 'shoal_webhook_deferred_total',
      help: 'Messages that had to wait for their turn, because their receiver had as many attempts as it may have.',
      registers,
    }),
    endpointsDisabled: new Counter({
      name: 'shoal_webhook_endpoints_disabled_total',
      help: 'Endpoints that were disabled because they were gone or only failed.',
      registers,
    }),
  };
}
