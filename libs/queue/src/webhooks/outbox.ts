/**
 * Reading of outboxes: a stream per queue, written by the scripts that change a job's state, and one of what the API asks
 * for. An entry is removed once what follows from it is written, so it may be read twice; one process at a time reads a
 * stream, so that a job's events keep their order.
 */
import { ShoalError, type WebhookEvent } from '@shoal/contracts';
import type { Redis } from 'ioredis';
import { formatJobId, QUEUES_KEY } from '../keys.js';
import { lease } from '../lease.js';
import { type RedisClient, subscribe } from '../redis.js';
import { script } from '../scripts.js';
import { leaseKey, OUTBOX_CHANNEL, outboxKey, TASKS, WEBHOOKS_TAG } from './keys.js';
import type { OutboxEntry, QueuedTask, WebhookTask } from './types.js';

/** A reader that ended without a word is replaced after this long. */
const LEASE_MS = 10_000;
/** Tasks that wait, of all tenants and of one; more are not taken. */
const MAX_TASKS = 10_000;
const MAX_TASKS_OF_TENANT = 50;
const RETRY_TASK_SECONDS = 5;

const addTaskScript = script<0 | 1>('webhooks/add-task.lua');
const removeTaskScript = script('webhooks/remove-task.lua');

export class Outbox {
  readonly #redis: RedisClient;
  readonly #token: string;

  /** `token`: this reader's own. */
  constructor(redis: RedisClient, token: string) {
    this.#redis = redis;
    this.#token = token;
  }

  /** Calls `wake` with the name of each stream that has got entries, and with none after every reconnection. */
  listen(subscriber: Redis, wake: (source?: string) => void): void {
    const start = async () => {
      // Else the connection broke again: its next `ready` subscribes anew.
      if (await subscribe(subscriber, OUTBOX_CHANNEL)) wake();
    };
    subscriber.on('ready', start);
    if (subscriber.status === 'ready') void start();
    subscriber.on('message', (_channel: string, source: string) => wake(source));
  }

  /** All streams that there may be. */
  async sources(): Promise<string[]> {
    return [TASKS, ...(await this.#redis.smembers(QUEUES_KEY))];
  }

  /** Entries of a stream. */
  length(source: string): Promise<number> {
    return this.#redis.xlen(outboxKey(source));
  }

  /** True where this process is the one that reads the stream, for the next 10 s. */
  lease(source: string): Promise<boolean> {
    return lease(this.#redis, leaseKey(source), this.#token, LEASE_MS);
  }

  async release(source: string): Promise<void> {
    if ((await this.#redis.get(leaseKey(source))) === this.#token) await this.#redis.del(leaseKey(source));
  }

  async entries(queue: string, count: number): Promise<OutboxEntry[]> {
    const entries = await this.#redis.xrange(outboxKey(queue), '-', '+', 'COUNT', count);
    return entries.map(([id, list]) => parseEntry(id, queue, list));
  }

  async tasks(count: number): Promise<QueuedTask[]> {
    const entries = await this.#redis.xrange(outboxKey(TASKS), '-', '+', 'COUNT', count);
    return entries.map(([id, [, json]]) => ({ id, task: JSON.parse(json!) as WebhookTask }));
  }

  async remove(queue: string, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#redis.xdel(outboxKey(queue), ...ids);
  }

  async removeTask({ id, task }: QueuedTask): Promise<void> {
    await removeTaskScript(this.#redis, WEBHOOKS_TAG, [id, task.tenant]);
  }
}

/** Hands a task to whoever reads the outboxes. Throws `tenant_backlog_full`. */
export async function addTask(redis: RedisClient, task: WebhookTask): Promise<void> {
  const args = [task.tenant, JSON.stringify(task), MAX_TASKS_OF_TENANT, MAX_TASKS];
  if ((await addTaskScript(redis, WEBHOOKS_TAG, args)) !== 1) {
    const detail = 'tests and replays that were asked for before are still to be done';
    throw new ShoalError('tenant_backlog_full', detail, { retryAfter: RETRY_TASK_SECONDS });
  }
  await redis.publish(OUTBOX_CHANNEL, TASKS);
}

function parseEntry(id: string, queue: string, list: readonly string[]): OutboxEntry {
  const fields: Record<string, string> = {};
  for (let n = 0; n < list.length; n += 2) fields[list[n]!] = list[n + 1]!;
  return {
    id,
    queue,
    tenant: fields.tenant ?? '',
    job: formatJobId({ queue, ulid: fields.job ?? '' }),
    type: `job.${fields.type}` as WebhookEvent,
    sequence: Number(fields.seq),
    at: Number(fields.at),
  };
}
