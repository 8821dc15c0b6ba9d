/**
 * What admission needs to know of Redis between two looks: memory in use, bytes reserved for results, each queue's load
 * and the limits its workers measured. One pipeline every 200 ms for all queues; bytes admitted since then are added.
 *
 * Of a cluster every queue is asked for by itself, together with the memory of the node that answers: a queue can take as
 * much as its own node can, and a node that is away leaves the queues of others as they are.
 */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

const INTERVAL_MS = 200;
/** Share of Redis's memory that may be in use or promised; the rest is for what publishing and BullMQ add. */
const FULL_SHARE = 0.75;

/** Final states, each a field of a queue's state that counts the jobs that ended so. */
const ENDS = ['completed', 'failed', 'cancelled', 'expired'] as const;

export interface QueueGauge {
  /** Unfinished jobs. */
  readonly jobs: number;
  /** Tokens of unfinished jobs. */
  readonly tokens: number;
  /** Tokens per second that ended, over the last looks. */
  readonly rate: number;
  /** Padded tokens of a micro-batch, as a worker of this queue measured; null while none has run. */
  readonly batchTokens: number | null;
  /** Jobs that have ended, by final state. */
  readonly ended: Readonly<Record<(typeof ENDS)[number], number>>;
}

const NONE_ENDED: QueueGauge['ended'] = { completed: 0, failed: 0, cancelled: 0, expired: 0 };

export interface GaugesOptions {
  readonly redis: RedisClient;
  readonly queues: readonly string[];
  /** Bytes that count as full where Redis has no `maxmemory`. */
  readonly memoryBudget: number;
  readonly clock: () => number;
}

/** A queue as it was seen last. */
interface Seen extends QueueGauge {
  /** Which server has it, by its run id. */
  readonly server: string;
  /** Bytes that its unfinished jobs have set aside for their results. */
  readonly reserved: number;
  /** Tokens that ended, ever, as of `at` in Unix ms. */
  readonly served: number;
  readonly at: number;
}

/** Bytes in use on one server, and those that count as all of it. */
interface Memory {
  readonly used: number;
  readonly limit: number;
}

export class Gauges {
  readonly #options: GaugesOptions;
  readonly #queues = new Map<string, Seen>();
  readonly #servers = new Map<string, Memory>();
  /** Bytes admitted since the last look, by queue. */
  readonly #sinceLook = new Map<string, number>();
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
    return this.#queues.get(name) ?? { jobs: 0, tokens: 0, rate: 0, batchTokens: null, ended: NONE_ENDED };
  }

  /** Counts `bytes` of `queue` as used, or throws `memory_full`: checked before anything of the job is written. */
  reserve(queue: string, bytes: number): void {
    const server = this.#queues.get(queue)?.server ?? '';
    const { used, limit } = this.#servers.get(server) ?? { used: 0, limit: Number.POSITIVE_INFINITY };
    let promised = bytes;
    for (const [name, seen] of this.#queues) {
      if (seen.server === server) promised += seen.reserved + (this.#sinceLook.get(name) ?? 0);
    }
    if (used + promised > FULL_SHARE * limit) {
      throw new ShoalError('memory_full', 'the memory for jobs and results is in use; repeat the request later', {
        retryAfter: 2,
      });
    }
    this.#count(queue, bytes);
  }

  /** Rejects with the first failure; what could be seen all the same is. */
  async look(): Promise<void> {
    const { redis, queues } = this.#options;
    const groups = redis instanceof Cluster ? queues.map((queue) => [queue]) : [queues];
    const looks = await Promise.allSettled(groups.map((group) => this.#lookAt(group)));
    for (const look of looks) if (look.status === 'rejected') throw look.reason;
  }

  /** Queues that one server has. */
  async #lookAt(queues: readonly string[]): Promise<void> {
    const { redis, memoryBudget, clock } = this.#options;
    const pipeline = redis.pipeline().info('server', 'memory');
    for (const queue of queues) {
      pipeline.hmget(`${queueTag(queue)}:state`, 'tokens', 'reserved', 'served', 'jobs', ...ENDS);
      pipeline.hget(`${queueTag(queue)}:limits`, 'batchTokens');
    }
    const before = queues.map((queue) => this.#sinceLook.get(queue) ?? 0);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    const info = String(replies[0]?.[1]);
    const server = field(info, 'run_id', '\\w+');
    const max = Number(field(info, 'maxmemory'));
    this.#servers.set(server, { used: Number(field(info, 'used_memory')), limit: max > 0 ? max : memoryBudget });
    queues.forEach((queue, n) => {
      const state = (replies[1 + 2 * n]![1] as (string | null)[]).map(Number);
      const [tokens = 0, reserved = 0, served = 0, jobs = 0, ...counts] = state;
      const [completed = 0, failed = 0, cancelled = 0, expired = 0] = counts;
      const batchTokens = replies[2 + 2 * n]![1] as string | null;
      this.#count(queue, -before[n]!);
      const at = clock();
      const last = this.#queues.get(queue);
      const sample = last && at > last.at ? ((served - last.served) / (at - last.at)) * 1000 : 0;
      // Smoothed over about 2 s, so that one empty look between two micro-batches does not read as a standstill.
      const rate = last ? last.rate * 0.9 + sample * 0.1 : 0;
      this.#queues.set(queue, {
        server,
        jobs,
        tokens,
        reserved,
        rate,
        batchTokens: batchTokens === null ? null : Number(batchTokens),
        ended: { completed, failed, cancelled, expired },
        served,
        at,
      });
    });
  }

  #count(queue: string, bytes: number): void {
    this.#sinceLook.set(queue, (this.#sinceLook.get(queue) ?? 0) + bytes);
  }
}

/** Of INFO; '' where there is no such field. */
function field(info: string, name: string, form = '\\d+'): string {
  return new RegExp(`^${name}:(${form})`, 'm').exec(info)?.[1] ?? '';
}
