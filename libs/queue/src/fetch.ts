/**
 * Chunks from BullMQ, pulled one by one instead of pushed to a processor: only so can a worker ask itself before each
 * whether it has room. BullMQ still does the rest: locks, the fair order, chunks that wait to be tried again, and those of
 * workers that died.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Job, Worker } from 'bullmq';
import type { Chunk } from './chunks.js';
import type { ChunkLock } from './engine.js';
import { CHUNKS, queueTag } from './keys.js';
import { type HeldLock, LOCK_MS, Locks } from './locks.js';
import type { RedisClient } from './redis.js';
import { type Settlement, settle } from './settle.js';

const STALLED_CHECK_MS = 2000;
/** A frozen worker may have taken the wake-up of another: idle ones look by themselves every second. */
const DRAIN_DELAY_SECONDS = 1;
/**
 * A fetch that waits for work is given up after so long. BullMQ looks after one that takes two seconds, by connecting anew; where
 * a cluster fails over meanwhile, and so fails ioredis' ready check, its `connect` never settles, and nor does the fetch.
 */
const WAIT_MS = 10_000;

/** A chunk that this worker holds, and nobody else as long as its lock is not lost. */
export interface FetchedChunk {
  readonly chunk: Chunk;
  readonly lock: ChunkLock;
  readonly held: HeldLock;
  readonly job: Job<Chunk>;
}

export interface FetcherOptions {
  readonly redis: RedisClient;
  readonly queue: string;
  readonly onError: (error: Error) => void;
}

export class Fetcher {
  readonly #worker: Worker<Chunk>;
  readonly #locks: Locks;
  readonly #onError: (error: Error) => void;
  #fetches = 0;
  /** A fetch was given up and has not ended: until then BullMQ waits for nothing, and looks are taken in turns. */
  #givenUp = false;
  /** What came of one that was given up. */
  #late: FetchedChunk[] = [];

  constructor({ redis, queue, onError }: FetcherOptions) {
    allowWhenFull(redis);
    this.#onError = onError;
    this.#worker = new Worker<Chunk>(CHUNKS, null, {
      connection: redis,
      prefix: queueTag(queue),
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      // Strikes are ours (lua/begin.lua): BullMQ would fail innocent neighbours of a crash.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      drainDelay: DRAIN_DELAY_SECONDS,
      skipVersionCheck: true,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    this.#worker.on('error', onError);
    this.#locks = new Locks(this.#worker, onError);
  }

  start(): void {
    this.#locks.start();
    void this.#worker.startStalledCheckTimer();
  }

  /**
   * At most `most` chunks. With `block`, waits for the first, for a second or so; the others are fetched side by side, if there
   * are any.
   */
  async fetch(most: number, { block }: { readonly block: boolean }): Promise<FetchedChunk[]> {
    const first = await this.#next(block);
    if (first === null || most === 1) return first === null ? [] : [first];
    const others = await Promise.all(
      Array.from({ length: most - 1 }, () =>
        this.#next(false).catch((error: Error) => {
          this.#onError(error);
          return null;
        }),
      ),
    );
    return [first, ...others.filter((chunk) => chunk !== null)];
  }

  /** The chunk is no longer held. Returns the next one where `fetchNext` wanted it and there was one. */
  async settle(
    { job, lock, held }: FetchedChunk,
    settlement: Settlement,
    fetchNext: boolean,
  ): Promise<FetchedChunk | null> {
    let isLost = false;
    void held.lost.then(() => {
      isLost = true;
    });
    try {
      const next = await settle(job, lock.token, settlement, {
        fetchNext,
        isLost: () => isLost,
        onError: this.#onError,
      });
      return next && this.#hold(Job.fromJSON<Chunk>(this.#worker, next.data, next.id), lock.token);
    } finally {
      held.release();
    }
  }

  /** A fetch that waits for work returns. */
  async interrupt(): Promise<void> {
    await this.#worker.getBackend().disconnectBlocking(false);
  }

  async close(): Promise<void> {
    this.#locks.stop();
    await this.#worker.close();
  }

  async #next(block: boolean): Promise<FetchedChunk | null> {
    const late = this.#late.shift();
    if (late) return late;
    if (!block) return this.#look();
    if (!this.#givenUp) return this.#wait();
    await pause(DRAIN_DELAY_SECONDS * 1000);
    return this.#look();
  }

  async #look(block = false): Promise<FetchedChunk | null> {
    const token = `${this.#worker.id}:${this.#fetches++}`;
    const job = await this.#worker.getNextJob(token, { block });
    return job ? this.#hold(job, token) : null;
  }

  async #wait(): Promise<FetchedChunk | null> {
    const found = this.#look(true);
    const inTime = new AbortController();
    const late = pause(WAIT_MS, 'late' as const, { signal: inTime.signal }).catch(() => null);
    const first = await Promise.race([found, late]).finally(() => inTime.abort());
    if (first !== 'late') return first;
    this.#givenUp = true;
    const ended = (chunk: FetchedChunk | null) => {
      this.#givenUp = false;
      if (chunk) this.#late.push(chunk);
    };
    found.then(ended, () => ended(null));
    return null;
  }

  #hold(job: Job<Chunk>, token: string): FetchedChunk {
    const lock: ChunkLock = { id: job.id!, token, tag: job.data.tag };
    return { chunk: job.data, lock, held: this.#locks.hold(lock), job };
  }
}

/**
 * BullMQ's scripts are refused when Redis has reached `maxmemory`. What a worker runs of them takes work out of Redis, so
 * they must go on: otherwise a full queue would stay full.
 */
function allowWhenFull(redis: RedisClient): void {
  const define = redis.defineCommand.bind(redis);
  redis.defineCommand = (name, { lua, ...definition }) =>
    define(name, { ...definition, lua: lua.startsWith('#!') ? lua : `#!lua flags=allow-oom\n${lua}` });
}
