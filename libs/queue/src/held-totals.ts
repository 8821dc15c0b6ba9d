/**
 * What each tenant holds over all queues, added up by the sweeper and read by every API replica (gauges.ts). A queue's own
 * part is checked by the script that admits, at once; this is for tenants that spread over queues.
 */
import { HELD_KEY, queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

const INTERVAL_MS = 1000;
/** Tenants that hold less are not told: what little they have cannot hurt. */
const TOLD_BYTES = 1024 * 1024;
/** The totals of a sweeper that is gone mean nothing any more. */
const KEEP_MS = 60_000;

export class HeldTotals {
  readonly #redis: RedisClient;
  readonly #byQueue = new Map<string, Readonly<Record<string, string>>>();
  #unread = new Set<string>();
  #updatedAt = Number.NEGATIVE_INFINITY;
  #empty = false;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** Forgets what it knows; `queues` are all that hold anything. */
  reset(queues: readonly string[]): void {
    this.#byQueue.clear();
    this.#unread = new Set(queues);
    this.#empty = false;
  }

  /** `swept` are queues that may have changed; at most once a second by `now` (Unix ms) something is written. */
  async update(swept: readonly string[], now: number): Promise<void> {
    for (const queue of swept) this.#unread.add(queue);
    if (Math.abs(now - this.#updatedAt) < INTERVAL_MS) return;
    this.#updatedAt = now;
    const unread = [...this.#unread];
    this.#unread.clear();
    await Promise.all(unread.map((queue) => this.#read(queue)));
    const totals = this.#add();
    if (totals.length === 0 && this.#empty) return;
    this.#empty = totals.length === 0;
    const write = this.#redis.multi().del(HELD_KEY);
    if (totals.length > 0) write.hset(HELD_KEY, ...totals.flat()).pexpire(HELD_KEY, KEEP_MS);
    await write.exec();
  }

  async #read(queue: string): Promise<void> {
    const held = await this.#redis.hgetall(`${queueTag(queue)}:held`);
    if (Object.keys(held).length > 0) this.#byQueue.set(queue, held);
    else this.#byQueue.delete(queue);
  }

  #add(): [tenant: string, bytes: number][] {
    const totals = new Map<string, number>();
    for (const held of this.#byQueue.values()) {
      for (const [tenant, bytes] of Object.entries(held)) {
        totals.set(tenant, (totals.get(tenant) ?? 0) + Number(bytes));
      }
    }
    return [...totals].filter(([, bytes]) => bytes >= TOLD_BYTES);
  }
}
