/**
 * Empties the outboxes: whenever a queue's script says that it left something, and by looking once a second, since such a
 * word may be missed. An entry is removed when its messages are written and enqueued; what a crash leaves is read again.
 */
import { TASKS, type WebhookBackend } from '@shoal/queue';
import type { Dispatcher } from './dispatcher.js';

const LOOK_MS = 1000;
/** Looks between two reads of the list of queues. */
const LOOKS_PER_LIST = 5;
/** Entries of a stream that are read at once, and of these, how many are dispatched at once. */
const WINDOW = 1000;
const BATCH = 32;

export interface RelayOptions {
  readonly backend: Pick<WebhookBackend, 'outbox' | 'listen'>;
  readonly dispatcher: Dispatcher;
  readonly onError: (error: Error) => void;
}

export class Relay {
  readonly #options: RelayOptions;
  /** Streams that are being read. */
  readonly #reading = new Map<string, Promise<void>>();
  /** Streams that got entries while they were being read. */
  readonly #again = new Set<string>();
  /** Streams that were asked for their length and have not answered. */
  readonly #asked = new Set<string>();
  #sources: string[] = [];
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.backend.listen((source) => {
      if (source === undefined) void this.#look();
      else this.#wake(source);
    });
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  /** Resolves when what is being read is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await Promise.all(this.#reading.values());
  }

  async #look(): Promise<void> {
    const { outbox } = this.#options.backend;
    try {
      if (this.#looks++ % LOOKS_PER_LIST === 0) this.#sources = await outbox.sources();
      for (const source of this.#sources) void this.#lookInto(source);
    } catch (error) {
      this.#options.onError(error as Error);
    }
  }

  /** Each by itself: of a Redis Cluster one node may be away, and only its streams must wait for it. */
  async #lookInto(source: string): Promise<void> {
    if (this.#asked.has(source)) return;
    this.#asked.add(source);
    try {
      if ((await this.#options.backend.outbox.length(source)) > 0) this.#wake(source);
    } catch (error) {
      this.#options.onError(error as Error);
    } finally {
      this.#asked.delete(source);
    }
  }

  #wake(source: string): void {
    if (this.#stopped) return;
    if (this.#reading.has(source)) {
      this.#again.add(source);
      return;
    }
    const read = this.#read(source)
      // The next look tries again.
      .catch((error: unknown) => this.#options.onError(error as Error))
      .finally(() => {
        this.#reading.delete(source);
        if (this.#again.delete(source)) this.#wake(source);
      });
    this.#reading.set(source, read);
  }

  async #read(source: string): Promise<void> {
    const { outbox } = this.#options.backend;
    if (!(await outbox.lease(source))) return;
    try {
      do {
        this.#again.delete(source);
        while (!this.#stopped && (await outbox.lease(source)) && (await this.#step(source)));
      } while (this.#again.has(source) && !this.#stopped);
    } finally {
      await outbox.release(source);
    }
  }

  /** False where nothing was there. Each tenant has its share, so that what one has left holds up no other. */
  async #step(source: string): Promise<boolean> {
    const { dispatcher, backend } = this.#options;
    if (source === TASKS) {
      const tasks = firstOfEach(await backend.outbox.tasks(WINDOW), 1, ({ task }) => task.tenant);
      await Promise.all(
        tasks.map(async (queued) => {
          await dispatcher.task(queued.id, queued.task);
          await backend.outbox.removeTask(queued);
        }),
      );
      return tasks.length > 0;
    }
    const found = await backend.outbox.entries(source, WINDOW);
    const tenants = new Set(found.map(({ tenant }) => tenant)).size;
    const entries = firstOfEach(found, Math.ceil(BATCH / tenants), ({ tenant }) => tenant);
    if (entries.length > 0) await dispatcher.events(entries);
    await backend.outbox.remove(
      source,
      entries.map(({ id }) => id),
    );
    return entries.length > 0;
  }
}

/** The first `count` entries of each tenant, in order. */
function firstOfEach<T>(entries: readonly T[], count: number, tenantOf: (entry: T) => string): T[] {
  const taken = new Map<string, number>();
  return entries.filter((entry) => {
    const tenant = tenantOf(entry);
    const place = taken.get(tenant) ?? 0;
    taken.set(tenant, place + 1);
    return place < count;
  });
}
