/**
 * What admission needs to know of Redis between two looks: memory in use, bytes reserved for results, each queue's load
 * and the limits its workers measured. One pipeline every 200 ms for all queues; bytes admitted since then are added.
 */
import { ShoalError } from '@shoal/contracts';
import type { Redis } from 'ioredis';
import { queueTag } from './keys.js';

const INTERVAL_MS = 200;
/** Share of Redis's memory that may be in use or promised; the rest is for what publishing and BullMQ add. */
const FULL_SHARE = 0.75;

export interface QueueGauge {
  /** Unfinished jobs. */
  readonly jobs: number;
  /** Tokens of unfinished jobs. */
  readonly tokens: number;
  /** Tokens per second that ended, over the last looks. */
  readonly rate: number;
  /** Padded tokens of a micro-batch, as a worker of this queue measured; null while none has run. */
  readonly batchTokens: number | null;
}

export interface GaugesOptions {
  readonly redis: Redis;
  readonly queues: readonly string[];
  /** Bytes that count as full where Redis has no `maxmemory`. */
  readonly memoryBudget: number;
  readonly clock: () => number;
}

export class Gauges {
  readonly #options: GaugesOptions;
  readonly #queues = new Map<string, QueueGauge & { served: number; at: number }>();
  #used = 0;
  #limit = Number.POSITIVE_INFINITY;
  #reserved = 0;
  #sinceLook = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: GaugesOptions) {
    this.#options = options;
  }

  /** Looks once, then keeps looking until `stop`. Rejects where the first look fails. */
  async start(): Promise<void> {
    await this.look();
    const again = () => {
      this.#timer = setTimeout(
        () =>
          this.look()
            .catch(() => undefined)
            .finally(() => this.#timer && again()),
        INTERVAL_MS,
      );
    };
    again();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  queue(name: string): QueueGauge {
    return this.#queues.get(name) ?? { jobs: 0, tokens: 0, rate: 0, batchTokens: null };
  }

  /** Counts `bytes` as used, or throws `memory_full`: checked before anything of the job is written. */
  reserve(bytes: number): void {
    if (this.#used + this.#reserved + this.#sinceLook + bytes > FULL_SHARE * this.#limit) {
      throw new ShoalError('memory_full', 'the memory for jobs and results is in use; repeat the request later', {
        retryAfter: 2,
      });
    }
    this.#sinceLook += bytes;
  }

  async look(): Promise<void> {
    const { redis, queues, memoryBudget, clock } = this.#options;
    const pipeline = redis.pipeline().info('memory');
    for (const queue of queues) {
      pipeline.hmget(`${queueTag(queue)}:state`, 'tokens', 'reserved', 'served', 'jobs');
      pipeline.hget(`${queueTag(queue)}:limits`, 'batchTokens');
    }
    const before = this.#sinceLook;
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    const info = String(replies[0]?.[1]);
    this.#used = field(info, 'used_memory');
    const max = field(info, 'maxmemory');
    this.#limit = max > 0 ? max : memoryBudget;
    this.#sinceLook -= before;
    this.#reserved = 0;
    queues.forEach((queue, n) => {
      const [tokens = 0, reserved = 0, served = 0, jobs = 0] = (replies[1 + 2 * n]![1] as (string | null)[]).map(
        Number,
      );
      const batchTokens = replies[2 + 2 * n]![1] as string | null;
      this.#reserved += reserved;
      const at = clock();
      const last = this.#queues.get(queue);
      const sample = last && at > last.at ? ((served - last.served) / (at - last.at)) * 1000 : 0;
      // Smoothed over about 2 s, so that one empty look between two micro-batches does not read as a standstill.
      const rate = last ? last.rate * 0.9 + sample * 0.1 : 0;
      this.#queues.set(queue, {
        jobs,
        tokens,
        rate,
        batchTokens: batchTokens === null ? null : Number(batchTokens),
        served,
        at,
      });
    });
  }
}

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}
