/** Names of everything of webhooks in Redis. docs/redis.md tells what stands behind each key. */
import { queueTag } from '../keys.js';

/** Announces that an outbox has entries, by the queue's name; `TASKS` for what the API asks for. */
export const OUTBOX_CHANNEL = 'shoal:outbox';
/** Stands for the stream of tasks where queues are named; no queue is named so. */
export const TASKS = 'tasks';

/** What all tenants have in common: one Cluster slot, also of BullMQ's queue of deliveries. */
export const WEBHOOKS_TAG = '{shoal:webhooks}';
export const EVENTS_KEY = `${WEBHOOKS_TAG}:events`;
export const VERSION_KEY = `${WEBHOOKS_TAG}:version`;

/** `{shoal:webhooks:<tenant>}`: the hash tag that keeps a tenant's endpoints and messages in one Cluster slot. */
export function tenantTag(tenant: string): string {
  return `{shoal:webhooks:${tenant}}`;
}

export function outboxKey(source: string): string {
  return source === TASKS ? `${WEBHOOKS_TAG}:tasks` : `${queueTag(source)}:outbox`;
}

export function leaseKey(source: string): string {
  return `${outboxKey(source)}:reader`;
}
