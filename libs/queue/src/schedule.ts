/**
 * Which queues are to be looked at, and when: a sorted set that all queues share, so that idle ones cost nothing. Whoever
 * submits to a queue announces it; the sweeper takes it off, or puts it off until something of it expires.
 */
import { SCHEDULE_KEY } from './keys.js';
import type { RedisClient } from './redis.js';

/** A producer that goes on submitting announces its queue this often. */
const ANNOUNCE_MS = 1000;

/** Sets or removes a queue's time unless it was announced since: KEYS[1]; queue, time as it was read, new time or ''. */
const POSTPONE = `if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1`;

/** A queue's entry: negative where it was announced and nobody has found it idle since, else when to look (Unix ms). */
export interface Scheduled {
  readonly queue: string;
  /** As Redis wrote it. */
  readonly score: string;
}

export class Schedule {
  readonly #redis: RedisClient;
  readonly #clock: () => number;
  readonly #announced = new Map<string, number>();

  constructor(redis: RedisClient, clock: () => number) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /**
   * Before something is written to a queue. Not waited for: the connection keeps the order, and where the entry is lost all
   * the same, the next announcement or a look at idle queues (gauges.ts) makes up for it.
   */
  announce(queue: string): void {
    const now = this.#clock();
    const before = this.#announced.get(queue);
    if (before !== undefined && Math.abs(now - before) < ANNOUNCE_MS) return;
    this.#announced.set(queue, now);
    // Negative, so that it is due by every clock, and another number each time.
    this.#redis.zadd(SCHEDULE_KEY, -now, queue).catch(() => this.#announced.delete(queue));
  }

  /** At the start of a replica: whatever queues have been left in is looked at. */
  async announceAll(queues: readonly string[]): Promise<void> {
    const now = this.#clock();
    if (queues.length > 0) await this.#redis.zadd(SCHEDULE_KEY, ...queues.flatMap((queue) => [-now, queue]));
  }

  /** Whether anything of the queue is left, work or what came of it. */
  async has(queue: string): Promise<boolean> {
    return (await this.#redis.zscore(SCHEDULE_KEY, queue)) !== null;
  }

  /** Queues that have work. */
  async busy(): Promise<string[]> {
    return this.#redis.zrangebyscore(SCHEDULE_KEY, '-inf', 0);
  }

  /** Queues whose time has come by `now`. */
  async due(now: number): Promise<Scheduled[]> {
    return parse(await this.#redis.zrangebyscore(SCHEDULE_KEY, '-inf', now, 'WITHSCORES'));
  }

  /** Every queue that holds anything. */
  async all(): Promise<Scheduled[]> {
    return parse(await this.#redis.zrange(SCHEDULE_KEY, '0', '-1', 'WITHSCORES'));
  }

  /** Looks at the queue again at `at`, or not before it is announced (null). Does nothing where it was announced meanwhile. */
  async postpone({ queue, score }: Scheduled, at: number | null): Promise<void> {
    await this.#redis.eval(POSTPONE, 1, SCHEDULE_KEY, queue, score, at ?? '');
  }
}

function parse(list: readonly string[]): Scheduled[] {
  const scheduled: Scheduled[] = [];
  for (let n = 0; n < list.length; n += 2) scheduled.push({ queue: list[n]!, score: list[n + 1]! });
  return scheduled;
}
