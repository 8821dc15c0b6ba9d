/** BullMQ's queue of chunks, as producers fill it: adding chunks, and telling which commits need no more looking after. */
import { Queue } from 'bullmq';
import { type Chunk, formChunks, type PlacedSlice } from './chunks.js';
import { CHUNKS, queueTag } from './keys.js';
import { sendEach } from './pipeline.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';

/** Commits are told in groups, this long after the first. */
const TELL_MS = 100;

/** Jobs that were recorded together and whose chunks may be missing. */
export interface LostCommit {
  readonly commit: string;
  readonly slices: readonly PlacedSlice[];
}

export class ChunkQueue {
  readonly #redis: RedisClient;
  readonly #tag: string;
  readonly #queue: Queue<Chunk>;
  /** Commits whose chunks BullMQ has taken: the sweeper need not look after them. */
  #sent: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: RedisClient, queue: string) {
    this.#redis = redis;
    this.#tag = queueTag(queue);
    this.#queue = new Queue<Chunk>(CHUNKS, {
      connection: redis,
      prefix: this.#tag,
      skipVersionCheck: true,
      // Nobody reads BullMQ's events: keep its stream from growing.
      streams: { events: { maxLen: 10 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    this.#queue.on('error', () => undefined);
  }

  /** Adds the slices of one commit in chunks of at most `maxTokens`; what there is no memory for is left to a `resend`. */
  async send(commit: string, slices: readonly PlacedSlice[], maxTokens: number): Promise<void> {
    try {
      await this.#add(slices, maxTokens);
    } catch (error) {
      // Their jobs are admitted: who were told of a refusal could repeat the call, and have two of them.
      if (redisError(error).code === 'memory_full') return;
      throw error;
    }
    this.#noteSent([commit]);
  }

  /** Adds again what was recorded but, as far as is known, never enqueued; a chunk too many finds nothing to do. */
  async resend(commits: readonly LostCommit[], maxTokens: number): Promise<void> {
    for (const { slices } of commits) await this.#add(slices, maxTokens);
    this.#noteSent(commits.map(({ commit }) => commit));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#tellSent().catch(() => undefined);
    await this.#queue.close();
  }

  async #add(slices: readonly PlacedSlice[], maxTokens: number): Promise<void> {
    const chunks = formChunks(slices, maxTokens);
    await this.#queue.addBulk(
      chunks.map(({ chunk, priority }) => ({ name: 'chunk', data: chunk, opts: { priority } })),
    );
  }

  #noteSent(commits: readonly string[]): void {
    if (commits.length === 0) return;
    this.#sent.push(...commits);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tellSent().catch(() => undefined);
    }, TELL_MS);
  }

  async #tellSent(): Promise<void> {
    const commits = this.#sent;
    if (commits.length === 0) return;
    this.#sent = [];
    try {
      // No transaction: a Redis that has reached `maxmemory` refuses any, also of what frees memory. In this order, the sweeper
      // ends what was cut off in between.
      const replies = await sendEach(this.#redis, [
        ['hdel', `${this.#tag}:commits`, ...commits],
        ['zrem', `${this.#tag}:commits:due`, ...commits],
      ]);
      for (const [error] of replies) if (error) throw error;
    } catch (error) {
      // Else the sweeper would enqueue them once more.
      this.#noteSent(commits);
      throw error;
    }
  }
}
