/**
 * What time alone must do, on every API replica: expire jobs past their deadline, forget expired records' index entries,
 * and enqueue what a crash left recorded but not enqueued. The script does each thing once, whoever calls it first.
 */
import { EXPIRED } from './errors.js';
import type { LostCommit, Producer } from './producer.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

const INTERVAL_MS = 250;
/** A recorded job without its chunk for this long was left behind by a crash or a lost reply. */
const UNSENT_MS = 5000;

type Swept = [virtual: Buffer, unsent: (Buffer | number)[][]];
const sweepScript = queueScript<Swept>('sweep.lua');

export interface SweeperOptions {
  readonly redis: RedisClient;
  readonly producers: ReadonlyMap<string, Producer>;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SweeperOptions) {
    this.#options = options;
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
  }

  async sweep(): Promise<void> {
    const { redis, producers } = this.#options;
    await Promise.all(
      [...producers].map(async ([queue, producer]) => {
        const [virtual, unsent] = await sweepScript(redis, queue, [UNSENT_MS, EXPIRED]);
        await producer.resend(Number(virtual), unsent.map(parseLost));
      }),
    );
  }
}

/** Commit id, then job id and number of slices per job (lua/sweep.lua). */
function parseLost(entry: readonly (Buffer | number)[]): LostCommit {
  const [commit, ...rest] = entry;
  const jobs = [];
  for (let n = 0; n < rest.length; n += 2) jobs.push({ ulid: String(rest[n]), slices: Number(rest[n + 1]) });
  return { commit: String(commit), jobs };
}
