/**
 * Forms micro-batches from single items: one batch runs while the next forms. An idle device starts at once with what is
 * there; beside a running batch, another starts when it is full or its first item has waited `maxDelayMs`. What is in it is
 * decided when it has its place on the device: until then it grows.
 */
import type { CloseReason } from '@shoal/contracts';
import type { Clock } from './clock.js';
import { type BatchLimits, type Candidate, closeReason, firstInOrder, reachedWith, selectBatch } from './policy.js';
import type { Gate, Place } from './run-gate.js';

export interface BatchedItem<T> {
  readonly value: T;
  readonly length: number;
  readonly waitedMs: number;
}

/** Items that run together, and their place on the device: whoever asked for them runs them, leaves it and settles them. */
export interface Batch<T, R> extends Place {
  readonly items: readonly BatchedItem<T>[];
  readonly closedBy: CloseReason;
  /** How far in the fair order service has come with it. */
  readonly reached: number;
  /** One outcome per item, in order. */
  settle(outcomes: readonly R[]): void;
  fail(error: unknown): void;
}

export interface MicroBatcherOptions {
  readonly limits: BatchLimits;
  readonly gate: Gate;
  readonly clock: Clock;
}

interface Entry<T, R> extends Candidate {
  readonly value: T;
  readonly arrived: number;
  readonly resolve: (outcome: R) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: { readonly aborted: boolean } | undefined;
}

/** An item that was taken back before it ran: its signal was aborted, or the batcher drains. */
export class NotStarted extends Error {
  constructor() {
    super('the item was not started');
    this.name = 'NotStarted';
  }
}

export class MicroBatcher<T, R> {
  readonly #options: MicroBatcherOptions;
  #waiting: Entry<T, R>[] = [];
  #running = 0;
  #draining = false;
  #wake = () => {};

  constructor(options: MicroBatcherOptions) {
    this.#options = options;
  }

  /** Resolves to the item's outcome; rejects with NotStarted where its signal was aborted before it ran. */
  add(value: T, item: Candidate, signal?: { readonly aborted: boolean }): Promise<R> {
    if (this.#draining || signal?.aborted) return Promise.reject(new NotStarted());
    return new Promise<R>((resolve, reject) => {
      const { length, order, group, alone } = item;
      const arrived = this.#options.clock.now();
      this.#waiting.push({ value, length, order, group, alone, arrived, resolve, reject, signal });
      this.#wake();
    });
  }

  /** The place in the fair order of what is first among what waits; infinite where nothing does. */
  get first(): number {
    return this.#waiting.length === 0 ? Number.POSITIVE_INFINITY : firstInOrder(this.#waiting).order;
  }

  /** The next micro-batch, once it may start; null when the batcher drains. One call at a time. */
  async next(): Promise<Batch<T, R> | null> {
    for (;;) {
      await this.#due();
      if (this.#draining) return null;
      const suspect = firstInOrder(this.#waiting).alone;
      const place = await this.#options.gate.enter(suspect);
      const batch = this.#form(place, suspect);
      if (batch) return batch;
      place.leave();
    }
  }

  /** Forms nothing more; what waits is taken back, what runs goes on. */
  drain(): void {
    this.#draining = true;
    for (const entry of this.#waiting.splice(0)) entry.reject(new NotStarted());
    this.#wake();
  }

  /** Resolves when a batch may start, but for its place on the device. */
  async #due(): Promise<void> {
    for (;;) {
      // Items of one chunk arrive in one turn: looking once after it lets them start together.
      await Promise.resolve();
      if (this.#draining) return;
      this.#dropAborted();
      const pause = this.#pauseMs();
      if (pause === 0) return;
      await new Promise<void>((resolve) => {
        const calledOff = pause === null ? () => {} : this.#options.clock.after(pause, resolve);
        this.#wake = () => {
          calledOff();
          resolve();
        };
      });
    }
  }

  /** How long until a batch may start: 0 at once, null for as long as nothing happens. */
  #pauseMs(): number | null {
    if (this.#waiting.length === 0) return null;
    const { limits, clock, gate } = this.#options;
    if (this.#running === 0) return 0;
    if (this.#running >= gate.places) return null;
    const { items, full } = selectBatch(this.#waiting, limits);
    if (full !== null) return 0;
    const waited = clock.now() - Math.min(...items.map((entry) => entry.arrived));
    return Math.max(0, limits.maxDelayMs - waited);
  }

  /** What the place is used for; null where nothing waits any more, or a suspect is first that needs one by itself. */
  #form(place: Place, alone: boolean): Batch<T, R> | null {
    this.#dropAborted();
    if (this.#waiting.length === 0) return null;
    const { items: entries, full } = selectBatch(this.#waiting, this.#options.limits);
    if (full === 'alone' && !alone) return null;
    const chosen = new Set(entries);
    this.#waiting = this.#waiting.filter((entry) => !chosen.has(entry));
    const now = this.#options.clock.now();
    const closedBy = closeReason(full, this.#running > 0);
    this.#running++;
    let left = false;
    return {
      items: entries.map(({ value, length, arrived }) => ({ value, length, waitedMs: now - arrived })),
      closedBy,
      reached: reachedWith(entries, this.#waiting),
      settle: (outcomes) => {
        for (const [i, entry] of entries.entries()) entry.resolve(outcomes[i]!);
      },
      fail: (error) => {
        for (const entry of entries) entry.reject(error);
      },
      leave: () => {
        const seconds = place.leave();
        if (!left) {
          left = true;
          this.#running--;
          this.#wake();
        }
        return seconds;
      },
    };
  }

  /** Signals are looked at when a batch is formed: a listener per item costs more than all else here. */
  #dropAborted(): void {
    if (!this.#waiting.some((entry) => entry.signal?.aborted)) return;
    for (const entry of this.#waiting) if (entry.signal?.aborted) entry.reject(new NotStarted());
    this.#waiting = this.#waiting.filter((entry) => !entry.signal?.aborted);
  }
}
