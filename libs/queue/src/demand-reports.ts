/** What workers tell of themselves for autoscaling. It outlives them, and the replicas of a queue share it. */
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

/** A new image or model starts differently, and 20 starts later nothing else is left. */
const COLD_STARTS = 20;

export class DemandReports {
  readonly #redis: RedisClient;
  readonly #tag: string;

  constructor(redis: RedisClient, queue: string) {
    this.#redis = redis;
    this.#tag = queueTag(queue);
  }

  /**
   * A replica that begins, and was measured to do `rate` tokens a second. What replicas have learned under load stands,
   * unless they began with a rate of another order: then the hardware is another, and so large a fleet may be running that
   * it never fills a batch and learns nothing.
   */
  async begin(rate: number): Promise<void> {
    const [learned, measured] = await this.#redis.hmget(`${this.#tag}:limits`, 'replicaRate', 'measuredRate');
    const ratio = rate / Number(measured);
    if (isRate(Number(learned)) && ratio > 0.5 && ratio < 2) return;
    await this.#redis.hset(`${this.#tag}:limits`, { replicaRate: rate, measuredRate: rate });
  }

  /**
   * Replaces the tokens a second that a replica is known to do (null: nothing is) by what `learn` makes of it. Of two
   * workers that do so at once one may lose its lesson, and gives the next five seconds later.
   */
  async learn(learn: (known: number | null) => number | null): Promise<void> {
    const known = Number(await this.#redis.hget(`${this.#tag}:limits`, 'replicaRate'));
    const learned = learn(isRate(known) ? known : null);
    if (learned !== null && isRate(learned)) await this.#redis.hset(`${this.#tag}:limits`, 'replicaRate', learned);
  }

  /** Seconds from the start of a worker's process until it took jobs. */
  async addColdStart(seconds: number): Promise<void> {
    const key = `${this.#tag}:coldstarts`;
    await this.#redis
      .multi()
      .lpush(key, seconds.toFixed(2))
      .ltrim(key, 0, COLD_STARTS - 1)
      .exec();
  }
}

function isRate(value: number): boolean {
  return Number.isFinite(value) && value > 0;
}
