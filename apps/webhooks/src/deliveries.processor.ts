/**
 * BullMQ's side of deliveries: a job is a reference to a message. It is only ever completed (nothing is left to do) or
 * delayed: until the next attempt, or until it is its turn with a receiver that has enough to do.
 */
import { Processor, WorkerHost } from '@nestjs/bullmq';
import { type Backlog, type Logger, logRarely, type WebhookMetrics } from '@shoal/telemetry';
import { DelayedError, type Job, type Queue, WaitingError } from 'bullmq';
import type { AttemptSlots, SlotUse, Turn } from './attempt-slots.js';
import type { Deliverer } from './deliverer.js';
import type { Delivery } from './dispatcher.js';
import { CLOSE_MS, waitAtMost } from './wait-at-most.js';

export const DELIVERIES = 'deliveries';

/** A process that was killed leaves what it was sending to others within a lock and two checks. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5000;
/**
 * Whoever waits for its turn and is not called (the process that would call it has ended) comes back by itself, after the
 * first time and one of the second for each of its tenant that waits: of one tenant, at most 50 a second come back.
 */
const UNCALLED_MS = 5000;
const UNCALLED_EACH_MS = 20;
/** After an error that is no answer of a receiver: Redis. */
const TROUBLE_MS = 15_000;

export interface ProcessorParts {
  readonly queue: Queue<Delivery>;
  readonly deliverer: Deliverer;
  readonly slots: AttemptSlots;
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
    await waitAtMost(CLOSE_MS, closed);
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
    const { slots, clock, random } = this.#parts;
    if (this.#stopping) return this.#handBack(job, token);
    const lane = { tenant: job.data.tenant, receiver: job.data.receiver };
    if (!slots.enter(lane, job.id!)) return this.#defer(job, token);
    let use: SlotUse = 'unused';
    let next: number | null;
    try {
      const addressed = await this.#parts.deliverer.address({ ...job.data, carrier: job.id! });
      if (addressed === null) return;
      // The stop came while the message was read.
      if (this.#stopping) return await this.#handBack(job, token);
      const attempted = await this.#parts.deliverer.attempt(addressed);
      use = attempted.timedOut ? 'timed out' : 'answered';
      next = attempted.nextAt;
    } catch (error) {
      if (error instanceof WaitingError) throw error;
      this.#complain(error as Error);
      next = clock() + TROUBLE_MS * (1 + random());
    } finally {
      this.#call(slots.leave(lane, use));
    }
    if (next !== null) await this.#delay(job, token, next);
  }

  async #handBack(job: Job<Delivery>, token: string): Promise<never> {
    await job.moveToWait(token);
    throw new WaitingError();
  }

  async #delay(job: Job<Delivery>, token: string, until: number): Promise<void> {
    await job.moveToDelayed(until, token);
    throw new DelayedError();
  }

  async #defer(job: Job<Delivery>, token: string): Promise<void> {
    const { slots, clock, random, metrics } = this.#parts;
    const { tenant, receiver } = job.data;
    metrics.deferred.inc();
    const pause = (UNCALLED_MS + UNCALLED_EACH_MS * slots.waiting(tenant)) * (1 + random());
    try {
      await this.#delay(job, token, clock() + pause);
    } finally {
      // Only now can it be called.
      this.#call(slots.wait({ tenant, receiver }, job.id!));
    }
  }

  /** Ends the pauses of those whose turn it is. */
  #call(turns: readonly Turn[]): void {
    const { queue, slots } = this.#parts;
    for (const turn of turns) {
      queue
        .getJob(turn.id)
        .then(async (job) => {
          if (job === undefined) this.#call(slots.skip(turn, turn.id));
          else await job.promote();
        })
        // It is not waiting any more: another process has it, or its own pause is over.
        .catch(() => this.#call(slots.skip(turn, turn.id)));
    }
  }
}
