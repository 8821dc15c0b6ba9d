/**
 * BullMQ's side of deliveries: a job is a reference to a message. It is only ever completed (nothing is left to do) or
 * delayed: until the next attempt, or until it is its turn with a receiver that has enough to do.
 */
import { Processor, WorkerHost } from '@nestjs/bullmq';
import { type Backlog, type Logger, logRarely, type WebhookMetrics } from '@shoal/telemetry';
import { DelayedError, type Job, type Queue, WaitingError } from 'bullmq';
import type { Addressed, Deliverer } from './deliverer.js';
import type { Delivery } from './dispatcher.js';
import type { Turns } from './turns.js';
import { CLOSE_MS, within } from './within.js';

export const DELIVERIES = 'deliveries';

/** A process that was killed leaves what it was sending to others within a lock and two checks. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5000;
/**
 * Whoever waits for its turn and is not called (the process that would call it has ended) comes back by itself, after the
 * first time and one of the second for each that waits before it: however many wait, at most 50 a second come back.
 */
const UNCALLED_MS = 5000;
const UNCALLED_EACH_MS = 20;
/** After an error that is no answer of a receiver: Redis, or a secret that cannot be opened. */
const TROUBLE_MS = 15_000;

export interface ProcessorParts {
  readonly queue: Queue<Delivery>;
  readonly deliverer: Deliverer;
  readonly turns: Turns;
  readonly concurrency: number;
  readonly clock: () => number;
  readonly random: () => number;
  readonly metrics: WebhookMetrics;
  readonly logger: Logger;
}

@Processor(DELIVERIES, {
  autorun: false,
  lockDuration: LOCK_MS,
  stalledInterval: STALLED_CHECK_MS,
  // A stall is a process that ended; the message is as good as before.
  maxStalledCount: Number.MAX_SAFE_INTEGER,
  drainDelay: 1,
  skipVersionCheck: true,
})
export class DeliveriesProcessor extends WorkerHost {
  readonly #parts: ProcessorParts;
  readonly #complain: (error: Error) => void;
  #stopping = false;
  #active = 0;
  #onIdle = () => {};

  constructor(parts: ProcessorParts) {
    super();
    this.#parts = parts;
    this.#complain = logRarely(parts.logger, 'webhook.trouble', parts.clock);
  }

  start(): void {
    this.worker.on('error', this.#complain);
    this.worker.concurrency = this.#parts.concurrency;
    void this.worker.run().catch(this.#complain);
  }

  /** No new attempts; resolves when those that run are done. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const closed = this.worker.close();
    if (this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await within(closed, CLOSE_MS);
  }

  /** Messages of all processes that are not settled. */
  async backlog(): Promise<Backlog> {
    const { wait = 0, prioritized = 0, delayed = 0, active = 0 } = await this.#parts.queue.getJobCounts();
    return { due: wait + prioritized, delayed, sending: active };
  }

  async process(job: Job<Delivery>, token: string): Promise<void> {
    this.#active += 1;
    try {
      await this.#process(job, token);
    } finally {
      this.#active -= 1;
      if (this.#active === 0) this.#onIdle();
    }
  }

  async #process(job: Job<Delivery>, token: string): Promise<void> {
    const { deliverer, turns, clock, random } = this.#parts;
    let next: number | null;
    try {
      const addressed = this.#stopping ? undefined : await deliverer.address({ ...job.data, carrier: job.id! });
      if (addressed === null) return;
      // Also where the stop came while the message was read.
      if (addressed === undefined || this.#stopping) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      next = turns.enter(addressed.receiver, job.id!)
        ? await this.#attempt(addressed)
        : await this.#defer(job, token, addressed);
    } catch (error) {
      if (error instanceof DelayedError || error instanceof WaitingError) throw error;
      this.#complain(error as Error);
      next = clock() + TROUBLE_MS * (1 + random());
    }
    if (next === null) return;
    await job.moveToDelayed(next, token);
    throw new DelayedError();
  }

  async #attempt(addressed: Addressed): Promise<number | null> {
    const { deliverer, turns } = this.#parts;
    let timedOut = false;
    try {
      const attempted = await deliverer.attempt(addressed);
      timedOut = attempted.timedOut;
      return attempted.nextAt;
    } finally {
      this.#call(addressed.receiver, turns.leave(addressed.receiver, timedOut));
    }
  }

  async #defer(job: Job<Delivery>, token: string, { receiver }: Addressed): Promise<never> {
    const { turns, clock, random, metrics } = this.#parts;
    metrics.deferred.inc();
    const pause = (UNCALLED_MS + UNCALLED_EACH_MS * turns.waiting(receiver)) * (1 + random());
    await job.moveToDelayed(clock() + pause, token);
    // Only now can it be called.
    this.#call(receiver, turns.wait(receiver, job.id!));
    throw new DelayedError();
  }

  /** Ends the pause of whoever's turn it is. */
  #call(receiver: string, carriers: readonly string[]): void {
    const { queue, turns } = this.#parts;
    for (const carrier of carriers) {
      queue
        .getJob(carrier)
        .then(async (job) => {
          if (job === undefined) this.#call(receiver, turns.skip(receiver, carrier));
          else await job.promote();
        })
        // It is not waiting any more: another process has it, or its own pause is over.
        .catch(() => this.#call(receiver, turns.skip(receiver, carrier)));
    }
  }
}
