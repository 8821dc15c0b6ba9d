/** What the process that delivers webhooks needs of Redis. */
import { randomUUID } from 'node:crypto';
import type { JobRecord } from '@shoal/contracts';
import { parseJobId } from '../keys.js';
import { Reader } from '../reader.js';
import { openPatient, openSubscriber, type RedisClient, type RedisTarget } from '../redis.js';
import { Endpoints } from './endpoints.js';
import { Messages } from './messages.js';
import { Outbox } from './outbox.js';
import { readSecrets, TENANT_SECRET } from './secrets.js';
import type { SealedSecret } from './types.js';

export interface WebhookBackend {
  /** Waits for Redis where it is away; also for BullMQ. */
  readonly redis: RedisClient;
  readonly endpoints: Endpoints;
  readonly messages: Messages;
  readonly outbox: Outbox;
  /** The job's record, without its results where `results` is false; null where it is gone. */
  readJob(id: string, results: boolean): Promise<JobRecord | null>;
  /** The tenant's own secrets. */
  tenantSecrets(tenant: string): Promise<SealedSecret[]>;
  /** Calls `wake` with the stream that has got entries; without one, any may have. */
  listen(wake: (source?: string) => void): void;
  close(): void;
}

export interface WebhookBackendOptions extends RedisTarget {
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

export function openWebhookBackend(options: WebhookBackendOptions): WebhookBackend {
  const { clock, onError } = options;
  const redis = openPatient(options, onError);
  const subscriber = openSubscriber(options, redis, onError);
  const reader = new Reader(redis);
  const outbox = new Outbox(redis, randomUUID());
  return {
    redis,
    endpoints: new Endpoints(redis, clock),
    messages: new Messages(redis),
    outbox,
    async readJob(id, results) {
      const job = parseJobId(id);
      if (job === null) return null;
      return results ? reader.read(job) : reader.readSummary(job);
    },
    tenantSecrets: (tenant) => readSecrets(redis, tenant, TENANT_SECRET),
    listen: (wake) => outbox.listen(subscriber, wake),
    close() {
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
