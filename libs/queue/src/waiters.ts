/**
 * Who waits for which job in this process. Workers announce ended jobs on one channel that every replica hears; a waiter
 * registers first and reads the record after, and every (re)subscription wakes all waiters, so no ending is missed.
 */
import type { Redis } from 'ioredis';
import { ENDED_CHANNEL } from './keys.js';

export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Jobs that this process wrote and will wait for: whether they may have ended since before they were written. */
  readonly #watched = new Map<string, { ended: boolean }>();

  constructor(subscriber: Redis) {
    const subscribe = () =>
      subscriber.subscribe(ENDED_CHANNEL).then(
        () => this.#wake([...this.#watched.keys(), ...this.#waiting.keys()]),
        // The connection broke again: its next `ready` subscribes anew.
        () => undefined,
      );
    subscriber.on('ready', subscribe);
    if (subscriber.status === 'ready') void subscribe();
    subscriber.on('message', (_channel: string, ids: string) => this.#wake(ids.split(' ')));
  }

  /** From before a job is written: its ending is noticed even if nobody waits yet, so a later wait need not read first. */
  watch(id: string): void {
    this.#watched.set(id, { ended: false });
  }

  /** True where the job cannot have ended unnoticed. The watch is over. */
  endWatch(id: string): boolean {
    const watched = this.#watched.get(id);
    this.#watched.delete(id);
    return watched?.ended === false;
  }

  /** Calls `wake` whenever the job may have ended, until the returned function is called. */
  add(id: string, wake: () => void): () => void {
    const set = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, set.add(wake));
    return () => {
      set.delete(wake);
      if (set.size === 0) this.#waiting.delete(id);
    };
  }

  #wake(ids: readonly string[]): void {
    for (const id of ids) {
      const watched = this.#watched.get(id);
      if (watched) watched.ended = true;
      for (const wake of [...(this.#waiting.get(id) ?? [])]) wake();
    }
  }
}
