/** From what outboxes tell to messages: finds who wants an event, writes a message each, and hands them to BullMQ. */
import { TERMINAL_EVENTS, TEST_EVENT } from '@shoal/contracts';
import { JOBS, type NewMessage, type OutboxEntry, type WebhookBackend, type WebhookTask } from '@shoal/queue';
import type { WebhookMetrics } from '@shoal/telemetry';
import { messageId } from '@shoal/webhooks';

/** What BullMQ carries: a reference, and what decides whose turn it is. Its job's id is the message's carrier. */
export interface Delivery {
  readonly tenant: string;
  readonly message: string;
  /** Whose attempts are counted together: an endpoint, or the origin of a job's own webhook. */
  readonly receiver: string;
}

export interface Carried extends Delivery {
  readonly carrier: string;
  /** Lower goes first, from 1. */
  readonly priority: number;
}

/** Adding what was added before does nothing. */
export type Enqueue = (deliveries: readonly Carried[]) => Promise<void>;

/** Takes deliveries out, by their carriers, whose messages nobody wants delivered any more. */
export type Discard = (carriers: readonly string[]) => Promise<void>;

export interface DispatcherParts {
  readonly backend: Pick<WebhookBackend, 'endpoints' | 'messages' | 'readJob'>;
  readonly enqueue: Enqueue;
  readonly discard: Discard;
  readonly metrics: WebhookMetrics;
}

/** Failed messages that are replayed at once. */
const REPLAY_BATCH = 200;
/** A tenant with this many messages that are not settled goes beside the others, with more behind them. */
const EASY = 64;

export class Dispatcher {
  readonly #parts: DispatcherParts;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Entries of one queue, in order. Doing it twice makes the same messages, which are then there. */
  async events(entries: readonly OutboxEntry[]): Promise<void> {
    const { backend, enqueue, metrics } = this.#parts;
    const tenants = [...new Set(entries.map(({ tenant }) => tenant))];
    const endpoints = new Map(
      await Promise.all(tenants.map(async (tenant) => [tenant, await backend.endpoints.list(tenant)] as const)),
    );
    const records = await Promise.all(entries.map(({ job }) => backend.readJob(job)));
    const messages = entries.flatMap((entry, n) => {
      const wanted = (endpoints.get(entry.tenant) ?? []).filter(({ disabled, events }) => {
        return disabled === null && events.includes(entry.type);
      });
      const own = records[n]?.meta.webhook;
      return [
        ...wanted.map(({ id }) => messageOf(entry, id)),
        ...(own?.events.includes(entry.type) ? [{ ...messageOf(entry, JOBS), webhook: own }] : []),
      ];
    });
    for (const { type } of entries) metrics.events.inc({ type });
    await enqueue(await Promise.all(messages.map((message) => this.#add(message))));
  }

  /** `id`: of the task. */
  async task(id: string, task: WebhookTask): Promise<void> {
    const { backend, enqueue } = this.#parts;
    const { tenant, endpoint } = task;
    if (task.kind === 'test') {
      const { message, at } = task;
      const test = { id: message, tenant, destination: endpoint, carrier: message, type: TEST_EVENT };
      await enqueue([await this.#add({ ...test, job: null, sequence: 0, at })]);
    } else if (task.kind === 'replay') {
      await this.#replay(tenant, endpoint, [task.message], id);
    } else {
      const failed = await backend.messages.failedSince(tenant, endpoint, task.since);
      for (let n = 0; n < failed.length; n += REPLAY_BATCH) {
        await this.#replay(tenant, endpoint, failed.slice(n, n + REPLAY_BATCH), id);
      }
    }
  }

  async #replay(tenant: string, endpoint: string, ids: readonly string[], task: string): Promise<void> {
    const { backend, enqueue, discard } = this.#parts;
    const replayed = await Promise.all(
      ids.map(async (message): Promise<Carried[]> => {
        const carrier = `${message}-${task}`;
        const { created, pending, dropped } = await backend.messages.replay(tenant, endpoint, message, carrier);
        await discard(dropped);
        if (!created) return [];
        return [{ tenant, message, carrier, receiver: endpoint, priority: priorityOf(pending) }];
      }),
    );
    await enqueue(replayed.flat());
  }

  async #add(message: NewMessage): Promise<Carried> {
    const { backend, metrics, discard } = this.#parts;
    const { tenant, id, carrier, destination, type, webhook } = message;
    const ends = TERMINAL_EVENTS.some((event) => event === type);
    const { created, pending, superseded, dropped } = await backend.messages.add(message, ends);
    if (created) metrics.messages.inc({ state: 'created' });
    metrics.messages.inc({ state: 'superseded' }, superseded);
    await discard(dropped);
    const receiver = webhook === undefined ? destination : originOf(webhook.url);
    return { tenant, message: id, carrier, receiver, priority: priorityOf(pending) };
  }
}

/**
 * Tenants with much to deliver go behind those with little: one step for each doubling, so that the backlog of one is no
 * queue for another. What is looked at without being its turn costs little, so that nobody starves of this.
 */
function priorityOf(pending: number): number {
  return 1 + Math.max(0, Math.ceil(Math.log2(pending / EASY)));
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : '';
}

function messageOf(entry: OutboxEntry, destination: string): NewMessage {
  const { queue, id: entryId, tenant, type, job, sequence, at } = entry;
  const id = messageId(at, queue, entryId, destination);
  return { id, tenant, destination, carrier: id, type, job, sequence, at };
}
