/** The engine of models that answer in one forward pass: items wait for a micro-batch, and one runs while the next forms. */
import {
  type Batch,
  type BatchLimits,
  type Candidate,
  type Clock,
  type Gate,
  MicroBatcher,
  NotStarted,
} from '@shoal/batching';
import type { ClaimedItem, Engine, Outcome, Place, Room } from '@shoal/queue';
import { type BatchStages, processBatch } from './process-batch.js';

/**
 * Micro-batches of items that a worker holds beside those that run: they give the next one neighbours by length to choose
 * from. More would pad less (single jobs of 8 to 128 tokens: 5.9 % with 3, 4.6 % with 6, 3.7 % with 10), and keep work from
 * idle workers and the item of a tenant that comes late in Redis for longer.
 */
const WAITING_BATCHES = 3;

export interface EncoderEngineOptions extends Omit<BatchStages, 'now'> {
  readonly limits: BatchLimits;
  readonly gate: Gate;
  readonly clock: Clock;
}

export class EncoderEngine implements Engine {
  readonly #options: EncoderEngineOptions;
  readonly #stages: BatchStages;
  readonly #batcher: MicroBatcher<ClaimedItem, Outcome>;
  readonly #running = new Set<Promise<void>>();
  readonly #forming: Promise<void>;
  #items = 0;
  #tokens = 0;

  constructor(options: EncoderEngineOptions) {
    this.#options = options;
    this.#stages = { ...options, now: options.clock.now };
    this.#batcher = new MicroBatcher(options);
    this.#forming = this.#runBatches();
  }

  room(): Room {
    const { limits, gate } = this.#options;
    const batches = gate.places + WAITING_BATCHES;
    return {
      items: batches * limits.maxBatchSize - this.#items,
      tokens: batches * limits.maxBatchTokens - this.#tokens,
    };
  }

  isPreceded({ tag }: Place): boolean {
    return tag < this.#batcher.first && this.#batcher.first < Number.POSITIVE_INFINITY;
  }

  async take(item: ClaimedItem): Promise<Outcome> {
    const { runner, reporter } = this.#options;
    const candidate: Candidate = {
      length: item.length,
      order: item.lock.tag,
      group: runner.groupKey(item.item),
      alone: item.strikes > 0,
    };
    reporter.holds(++this.#items);
    this.#tokens += item.length;
    try {
      return await this.#batcher.add(item, candidate, item.dropped);
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
      // Dropped items have ended in the record; only a draining worker returns any.
      return item.dropped.aborted ? { kind: 'done' } : { kind: 'returned' };
    } finally {
      reporter.holds(--this.#items);
      this.#tokens -= item.length;
    }
  }

  async drain(): Promise<void> {
    this.#batcher.drain();
    await this.#forming;
    await Promise.all(this.#running);
  }

  close(): Promise<void> {
    return this.#options.runner.close();
  }

  async #runBatches(): Promise<void> {
    for (let batch = await this.#batcher.next(); batch; batch = await this.#batcher.next()) {
      const run = this.#run(batch).finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
  }

  async #run(batch: Batch<ClaimedItem, Outcome>): Promise<void> {
    try {
      batch.settle(await processBatch(batch, this.#stages));
    } catch (error) {
      batch.fail(error);
    } finally {
      batch.leave();
    }
  }
}
