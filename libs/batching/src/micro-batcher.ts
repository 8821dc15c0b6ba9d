/**
 * Forms micro-batches from single items: one batch runs while the next forms. An idle device starts at once with what is
 * there; beside a running batch, another starts when it is full or its first item has waited `maxDelayMs`.
 */
import type { CloseReason } from '@shoal/contracts';
import { type BatchLimits, type Candidate, closeReason, selectBatch } from './policy.js';
import type { RunGate } from './run-gate.js';

/** Time as the batcher uses it; tests pass their own. */
export interface Clock {
  /** Milliseconds from any origin, never going back. */
  now(): number;
  /** Calls back once after `ms`; the returned function calls it off. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export interface Batch<T> {
  readonly items: readonly { readonly value: T; readonly length: number; readonly waitedMs: number }[];
  readonly closedBy: CloseReason;
}

export interface MicroBatcherOptions<T, R> {
  readonly limits: BatchLimits;
  /** Batches that may run at once on the device. */
  readonly maxRunning: number;
  readonly gate: RunGate;
  readonly clock: Clock;
  /** Runs a batch and settles it: one outcome per item, in order. Calls `deviceFree` as soon as the next may start. */
  readonly run: (batch: Batch<T>, deviceFree: () => void) => Promise<readonly R[]>;
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
  readonly #options: MicroBatcherOptions<T, R>;
  #waiting: Entry<T, R>[] = [];
  #running = 0;
  #draining = false;
  #pumpQueued = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: MicroBatcherOptions<T, R>) {
    this.#options = options;
  }

  /** Items that wait for a batch. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves to the item's outcome; rejects with NotStarted where its signal was aborted before it ran. */
  add(value: T, item: Candidate, signal?: { readonly aborted: boolean }): Promise<R> {
    if (this.#draining || signal?.aborted) return Promise.reject(new NotStarted());
    return new Promise<R>((resolve, reject) => {
      const { length, order, group, alone } = item;
      const arrived = this.#options.clock.now();
      this.#waiting.push({ value, length, order, group, alone, arrived, resolve, reject, signal });
      this.#pumpSoon();
    });
  }

  /** Starts nothing more; what waits is taken back, what runs goes on. */
  drain(): void {
    this.#draining = true;
    this.#cancelTimer?.();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) entry.reject(new NotStarted());
  }

  /** Items of one chunk arrive in one tick: looking once after it lets them start together. */
  #pumpSoon(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#dropAborted();
    const { limits, maxRunning, clock } = this.#options;
    while (this.#waiting.length > 0 && this.#running < maxRunning && !this.#draining) {
      const { items, full } = selectBatch(this.#waiting, limits);
      const waited = clock.now() - Math.min(...items.map((entry) => entry.arrived));
      const idle = this.#running === 0;
      if (!idle && full === null && waited < limits.maxDelayMs) {
        this.#cancelTimer = clock.after(limits.maxDelayMs - waited, () => this.#pump());
        return;
      }
      this.#start(items, closeReason(full, !idle));
    }
  }

  /** Signals are looked at when a batch is formed: a listener per item costs more than all else here. */
  #dropAborted(): void {
    if (!this.#waiting.some((entry) => entry.signal?.aborted)) return;
    for (const entry of this.#waiting) if (entry.signal?.aborted) entry.reject(new NotStarted());
    this.#waiting = this.#waiting.filter((entry) => !entry.signal?.aborted);
  }

  #start(entries: readonly Entry<T, R>[], closedBy: CloseReason): void {
    const chosen = new Set(entries);
    this.#waiting = this.#waiting.filter((entry) => !chosen.has(entry));
    this.#running++;
    void this.#run(entries, closedBy);
  }

  async #run(entries: readonly Entry<T, R>[], closedBy: CloseReason): Promise<void> {
    const { gate, clock, run } = this.#options;
    const leave = await gate.enter(closedBy === 'alone');
    const started = clock.now();
    const items = entries.map(({ value, length, arrived }) => ({ value, length, waitedMs: started - arrived }));
    let freed = false;
    const deviceFree = () => {
      if (freed) return;
      freed = true;
      this.#running--;
      leave();
      this.#pump();
    };
    try {
      const outcomes = await run({ items, closedBy }, deviceFree);
      for (const [i, entry] of entries.entries()) entry.resolve(outcomes[i]!);
    } catch (error) {
      for (const entry of entries) entry.reject(error);
    } finally {
      deviceFree();
    }
  }
}
