/** What the process that delivers webhooks needs of Redis. */
import { randomUUID } from 'node:crypto';
import type { JobRecord } from '@shoal/contracts';
import { parseJobId } from '../keys.js';
import { Reader } from '../reader.js';
import { openPatient, openSubscriber, type RedisClient, type RedisTarget } from '../redis.js';
import { queueScript } from '../scripts.js';
import { Endpoints } from './endpoints.js';
import { Messages } from './messages.js';
import { Outbox } from './outbox.js';
import { readSecrets, TENANT_SECRET } from './secrets.js';
import type { SealedSecret } from './types.js';

const resultsFitScript = queueScript<0 | 1>('webhooks/results-fit.lua');

export interface WebhookBackend {
  /** Waits for Redis where it is away; also for BullMQ. */
  readonly redis: RedisClient;
  readonly endpoints: Endpoints;
  readonly messages: Messages;
  readonly outbox: Outbox;
  /** The job's record without its results; null where it is gone. */
  readJob(id: string): Promise<JobRecord | null>;
  /** Whether the job's results, as they are stored, have at most so many bytes. */
  resultsFit(id: string, maxBytes: number): Promise<boolean>;
  /** The job's record with its results, however large; null where it is gone. */
  readResults(id: string): Promise<JobRecord | null>;
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
  const large = openPatient(options, onError);
  const reader = new Reader(redis, large);
  const outbox = new Outbox(redis, randomUUID());
  return {
    redis,
    endpoints: new Endpoints(redis, clock),
    messages: new Messages(redis),
    outbox,
    async readJob(id) {
      const job = parseJobId(id);
      return job && reader.readSummary(job);
    },
    async resultsFit(id, maxBytes) {
      const job = parseJobId(id);
      if (job === null) return true;
      return (await resultsFitScript(redis, job.queue, [job.ulid, maxBytes])) === 1;
    },
    async readResults(id) {
      const job = parseJobId(id);
      return job && reader.read(job);
    },
    tenantSecrets: (tenant) => readSecrets(redis, tenant, TENANT_SECRET),
    listen: (wake) => outbox.listen(subscriber, wake),
    close() {
      redis.disconnect();
      large.disconnect();
      subscriber.disconnect();
    },
  };
}
