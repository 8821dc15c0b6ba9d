/**
 * Who waits for which job in this process. Workers announce ended jobs on one channel that every replica hears; a waiter
 * registers first and reads the record after, and every (re)subscription wakes all waiters, so no ending is missed.
 */
import type { Redis } from 'ioredis';
import { ENDED_CHANNEL } from './keys.js';

export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(subscriber: Redis) {
    const subscribe = () =>
      subscriber.subscribe(ENDED_CHANNEL).then(
        () => this.#wake([...this.#waiting.keys()]),
        // The connection broke again: its next `ready` subscribes anew.
        () => undefined,
      );
    subscriber.on('ready', subscribe);
    if (subscriber.status === 'ready') void subscribe();
    subscriber.on('message', (_channel: string, ids: string) => this.#wake(ids.split(' ')));
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
    for (const id of ids) for (const wake of [...(this.#waiting.get(id) ?? [])]) wake();
  }
}
