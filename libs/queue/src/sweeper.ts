/**
 * What time alone must do: expire jobs past their deadline, forget what has expired, enqueue what a crash left recorded but
 * not enqueued, lower priorities before they run out, and add up what each tenant holds. One API replica at a time does it,
 * for the queues that have anything; the scripts do each thing once, should two of them try.
 */
import { randomUUID } from 'node:crypto';
import { ChunkQueue, type LostCommit } from './chunk-queue.js';
import { unpack } from './codec.js';
import { EXPIRED } from './errors.js';
import type { Gauges } from './gauges.js';
import { HeldTotals } from './held-totals.js';
import { SWEEPER_KEY } from './keys.js';
import { lease } from './lease.js';
import type { RedisClient } from './redis.js';
import type { Schedule, Scheduled } from './schedule.js';
import { queueScript } from './scripts.js';

const INTERVAL_MS = 250;
/** Another replica takes over from one that has not been heard of for this long. */
const LEASE_MS = 3000;
const RENEW_MS = 1000;
/** A recorded job without its chunk for this long was left behind by a crash or a lost reply. */
const UNSENT_MS = 5000;
/** A queue without work is left alone once nobody has announced it for this long: a submission may be on its way. */
const IDLE_MS = 5000;
/** Most slices of one queue's work in one round; Redis serves others between them. */
const MAX_SLICES = 100;

/** As lua/sweep.lua returns it. */
interface Swept {
  readonly more: boolean;
  readonly jobs: number;
  readonly next?: number;
  readonly lost: readonly LostCommit[];
}

const sweepScript = queueScript<Buffer>('sweep.lua');

export interface SweeperOptions {
  readonly redis: RedisClient;
  readonly schedule: Schedule;
  readonly gauges: Gauges;
  /** Of the queues that this replica submits to. */
  readonly chunksOf: (queue: string) => ChunkQueue | undefined;
  readonly clock: () => number;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #token = randomUUID();
  readonly #totals: HeldTotals;
  /** Queues of other replicas' models, which have left something to enqueue. */
  readonly #foreign = new Map<string, ChunkQueue>();
  /** Since when each queue that was announced has stood as it does. */
  readonly #seen = new Map<string, { readonly score: string; readonly since: number }>();
  #leads = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#totals = new HeldTotals(options.redis);
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.sweep()
        // Redis is away: the next round finds what this one missed.
        .catch(() => undefined)
        .then(() => {
          if (this.#timer) this.start();
        });
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
    await Promise.all([...this.#foreign.values()].map((chunks) => chunks.close()));
    if (this.#leads) await this.#lease(1).catch(() => undefined);
  }

  async sweep(): Promise<void> {
    const { schedule, clock } = this.#options;
    if (!(await this.#isLeader())) return;
    const due = await schedule.due(clock());
    await Promise.all(due.map((entry) => this.#sweepQueue(entry)));
    await this.#totals.update(
      due.map(({ queue }) => queue),
      clock(),
    );
  }

  async #isLeader(): Promise<boolean> {
    const now = performance.now();
    if (now - this.#askedAt < RENEW_MS) return this.#leads;
    this.#askedAt = now;
    const led = this.#leads;
    // Where the node that has the lease is away, everybody sweeps what the other nodes have.
    this.#leads = await this.#lease(LEASE_MS).catch(() => true);
    if (this.#leads && !led) this.#totals.reset((await this.#options.schedule.all()).map(({ queue }) => queue));
    return this.#leads;
  }

  #lease(ms: number): Promise<boolean> {
    return lease(this.#options.redis, SWEEPER_KEY, this.#token, ms);
  }

  async #sweepQueue(entry: Scheduled): Promise<void> {
    const { redis, gauges } = this.#options;
    const { queue } = entry;
    for (let slices = 0; slices < MAX_SLICES; slices++) {
      const { more, jobs, next, lost } = unpack<Swept>(await sweepScript(redis, queue, [UNSENT_MS, EXPIRED]));
      if (lost.length > 0) await this.#chunksOf(queue).resend(lost, gauges.chunkTokens(queue));
      if (more) continue;
      if (jobs === 0) await this.#leaveAlone(entry, next ?? null);
      return;
    }
  }

  /** Until something of it is to be forgotten. */
  async #leaveAlone(entry: Scheduled, next: number | null): Promise<void> {
    const { schedule, clock } = this.#options;
    const { queue, score } = entry;
    const now = performance.now();
    const seen = this.#seen.get(queue);
    const announced = Number(score) < 0;
    if (announced && seen?.score !== score) {
      this.#seen.set(queue, { score, since: now });
    } else if (!announced || now - (seen?.since ?? now) >= IDLE_MS) {
      this.#seen.delete(queue);
      await schedule.postpone(entry, next && Math.max(next, clock() + IDLE_MS));
    }
  }

  #chunksOf(queue: string): ChunkQueue {
    const known = this.#options.chunksOf(queue) ?? this.#foreign.get(queue);
    if (known) return known;
    const chunks = new ChunkQueue(this.#options.redis, queue);
    this.#foreign.set(queue, chunks);
    return chunks;
  }
}
