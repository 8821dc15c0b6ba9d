/** What workers tell of themselves for autoscaling. It outlives them, and the replicas of a queue share it. */
import { randomUUID } from 'node:crypto';
import { type FleetSpeed, parseSpeeds } from './fleet-speeds.js';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

/** A new image or model starts differently, and 20 starts later nothing else is left. */
const COLD_STARTS = 20;

/** A replica that reports while it works, every 5 s, counts as at work for three of its reports. */
const AT_WORK_MS = 15_000;

type Reply = [now: number, replicas: number, rate: Buffer | null, speeds: Buffer[]];

const workingScript = queueScript<Reply>('working.lua');

/** What is known when a replica reports. */
export interface Known {
  /** Unix ms, by Redis's clock. */
  readonly now: number;
  /** Replicas at work, this one included. */
  readonly replicas: number;
  /** Tokens a second of a replica under load; null where nothing is known. */
  readonly rate: number | null;
  readonly speeds: readonly FleetSpeed[];
}

/** What replaces it; null leaves what is there. */
export interface Lesson {
  readonly rate: number | null;
  readonly speed: FleetSpeed | null;
  /** What is remembered of fleets of about as many replicas is replaced. */
  readonly sizeClass: number;
}

export class DemandReports {
  readonly #redis: RedisClient;
  readonly #queue: string;
  readonly #tag: string;
  /** Which replica this is, among those at work. */
  readonly #id = randomUUID();

  constructor(redis: RedisClient, queue: string) {
    this.#redis = redis;
    this.#queue = queue;
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
   * This replica has worked: what `learn` makes of what is known replaces it, where it is anything. Of two workers that do so
   * at once one may lose its lesson, and gives the next five seconds later.
   */
  async learn(learn: (known: Known) => Lesson): Promise<void> {
    const [now, replicas, rate, speeds] = await workingScript(this.#redis, this.#queue, [this.#id, AT_WORK_MS]);
    const known = Number(rate);
    const lesson = learn({ now, replicas, rate: isRate(known) ? known : null, speeds: parseSpeeds(speeds) });
    if (lesson.rate !== null && isRate(lesson.rate)) {
      await this.#redis.hset(`${this.#tag}:limits`, 'replicaRate', lesson.rate);
    }
    if (lesson.speed !== null && isRate(lesson.speed.rate)) {
      await this.#redis.hset(`${this.#tag}:speeds`, lesson.sizeClass, JSON.stringify(lesson.speed));
    }
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
