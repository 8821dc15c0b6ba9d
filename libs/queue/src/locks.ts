/**
 * The locks of the chunks that this process holds. BullMQ renews only those of its own processors, and these it tracks by
 * job id alone: a worker that fetches a chunk whose lock it has lost would end the renewal of the new lock with the old run.
 */
import type { Worker } from 'bullmq';
import type { ChunkLock } from './engine.js';
import { repeat } from './repeat.js';

/**
 * A dead worker's chunks are fetched again after the lock + 2 stalled checks at most, 14 s; 15 s is promised
 * (docs/reliability.md). Locks are renewed every quarter: a live worker would have to stand still, or Redis be away, for
 * 5 s to lose one.
 */
export const LOCK_MS = 10_000;
const RENEW_MS = LOCK_MS / 4;

/** A lock that is held; `lost` resolves when somebody else may have the chunk. */
export interface HeldLock {
  readonly lost: Promise<void>;
  release(): void;
}

interface Entry {
  readonly token: string;
  readonly lose: () => void;
}

export class Locks {
  readonly #worker: Pick<Worker, 'extendJobLocks'>;
  readonly #onError: (error: Error) => void;
  readonly #held = new Map<string, Entry>();
  #stop = async () => {};

  constructor(worker: Pick<Worker, 'extendJobLocks'>, onError: (error: Error) => void) {
    this.#worker = worker;
    this.#onError = onError;
  }

  start(): void {
    this.#stop = repeat(RENEW_MS, () => this.#renew(), this.#onError);
  }

  hold({ id, token }: ChunkLock): HeldLock {
    // Fetched again: so the lock of the run that still goes on here is gone.
    this.#held.get(id)?.lose();
    let entry: Entry | undefined;
    const lost = new Promise<void>((lose) => {
      entry = { token, lose };
      this.#held.set(id, entry);
    });
    const release = () => {
      if (this.#held.get(id) === entry) this.#held.delete(id);
    };
    return { lost, release };
  }

  /** Renews no more; does not wait for a renewal under way, which a Redis that is away may hold up. */
  stop(): void {
    void this.#stop();
  }

  async #renew(): Promise<void> {
    const entries = [...this.#held];
    if (entries.length === 0) return;
    const ids = entries.map(([id]) => id);
    const tokens = entries.map(([, { token }]) => token);
    const failed = new Set(await this.#worker.extendJobLocks(ids, tokens, LOCK_MS));
    for (const [id, entry] of entries) {
      if (!failed.has(id) || this.#held.get(id) !== entry) continue;
      this.#held.delete(id);
      entry.lose();
    }
  }
}
