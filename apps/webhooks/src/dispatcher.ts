/** From what outboxes tell to messages: finds who wants an event, writes a message each, and hands them to BullMQ. */
import { TERMINAL_EVENTS, TEST_EVENT } from '@shoal/contracts';
import { JOBS, type NewMessage, type OutboxEntry, type WebhookBackend, type WebhookTask } from '@shoal/queue';
import type { WebhookMetrics } from '@shoal/telemetry';
import { messageId } from '@shoal/webhooks';

/** What BullMQ carries: a reference, no more. Its job's id is the message's carrier. */
export interface Delivery {
  readonly tenant: string;
  readonly message: string;
}

export interface Carried extends Delivery {
  readonly carrier: string;
}

/** Adding what was added before does nothing. */
export type Enqueue = (deliveries: readonly Carried[]) => Promise<void>;

export interface DispatcherParts {
  readonly backend: Pick<WebhookBackend, 'endpoints' | 'messages' | 'readJob'>;
  readonly enqueue: Enqueue;
  readonly metrics: WebhookMetrics;
}

/** Failed messages that are replayed at once. */
const REPLAY_BATCH = 200;

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
    const records = await Promise.all(entries.map(({ job }) => backend.readJob(job, false)));
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
    await Promise.all(messages.map((message) => this.#add(message)));
    await enqueue(messages.map(({ tenant, id, carrier }) => ({ tenant, message: id, carrier })));
  }

  /** `id`: of the task. */
  async task(id: string, task: WebhookTask): Promise<void> {
    const { backend, enqueue } = this.#parts;
    const { tenant, endpoint } = task;
    if (task.kind === 'test') {
      const { message, at } = task;
      await this.#add({
        id: message,
        tenant,
        destination: endpoint,
        carrier: message,
        type: TEST_EVENT,
        job: null,
        sequence: 0,
        at,
      });
      await enqueue([{ tenant, message, carrier: message }]);
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
    const carried = ids.map((message) => ({ tenant, message, carrier: `${message}-${task}` }));
    const { messages } = this.#parts.backend;
    const replayed = await Promise.all(
      carried.map(({ message, carrier }) => messages.replay(tenant, endpoint, message, carrier)),
    );
    await this.#parts.enqueue(carried.filter((_, n) => replayed[n]));
  }

  async #add(message: NewMessage): Promise<void> {
    const { backend, metrics } = this.#parts;
    const ends = TERMINAL_EVENTS.some((event) => event === message.type);
    const { created, superseded } = await backend.messages.add(message, ends);
    if (created) metrics.messages.inc({ state: 'created' });
    metrics.messages.inc({ state: 'superseded' }, superseded);
  }
}

function messageOf(entry: OutboxEntry, destination: string): NewMessage {
  const { queue, id: entryId, tenant, type, job, sequence, at } = entry;
  const id = messageId(at, queue, entryId, destination);
  return { id, tenant, destination, carrier: id, type, job, sequence, at };
}
