/** The worker's side of libs/queue and libs/batching as apps/worker wires them, with a pass that does nothing or sleeps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchLimits, MicroBatcher, NotStarted, RunGate, systemClock } from '@shoal/batching';
import { type ClaimedItem, Consumer, type Finished, type Outcome, Publisher } from '@shoal/queue';

export interface SimulatedDevice {
  readonly limits: BatchLimits;
  /** Time of one forward pass; 0: none. */
  readonly passMs: number;
}

/** As apps/worker: 64 rows and the limits of a model whose passes cost nothing. */
const NO_DEVICE: SimulatedDevice = {
  limits: { maxBatchSize: 64, maxBatchTokens: 4096, maxDelayMs: 5, passTokens: 4096 },
  passMs: 0,
};
const HELD_BATCHES = 4;
const MAX_RESULT_BYTES = 8 * 1024 * 1024;

export const SHOAL_QUEUE = 'noop.1.fp32.0';

/** Resolves to the function that ends it. `onPublished` hears how many items each batch has published. */
export async function startShoalWorker(
  redisUrl: string,
  device = NO_DEVICE,
  onPublished: (items: number) => void = () => undefined,
): Promise<() => Promise<void>> {
  const { limits, passMs } = device;
  const consumer = new Consumer({
    redisUrl,
    queue: SHOAL_QUEUE,
    holdTokens: HELD_BATCHES * limits.maxBatchTokens,
    clock: Date.now,
    onError: (error) => console.error(error),
    handle: async (item) => {
      const candidate = { length: item.length, order: item.lock.tag, group: '', alone: item.strikes > 0 };
      try {
        return await batcher.add(item, candidate, item.dropped);
      } catch (error) {
        if (!(error instanceof NotStarted)) throw error;
        return item.dropped.aborted ? { kind: 'done' } : { kind: 'unstarted' };
      }
    },
  });
  const publisher = new Publisher({
    redis: consumer.redis,
    queue: SHOAL_QUEUE,
    maxResultBytes: MAX_RESULT_BYTES,
  });
  // One pass at a time, however many batches are on their way: what apps/worker does by default on a GPU.
  let deviceFreed = Promise.resolve<unknown>(undefined);
  const pass = () => {
    deviceFreed = deviceFreed.then(() => sleep(passMs));
    return deviceFreed;
  };
  let batches = 0;
  const batcher = new MicroBatcher<ClaimedItem, Outcome>({
    limits,
    maxRunning: passMs > 0 ? 2 : 1,
    gate: new RunGate(8),
    clock: systemClock,
    run: async ({ items, closedBy }, deviceFree) => {
      const verdicts = await publisher.begin(items.map(({ value }) => value));
      if (passMs > 0) await pass();
      deviceFree();
      const [batchId, batchSize] = [String(batches++), items.length];
      const finished = items.flatMap(({ value: item, waitedMs: batchingMs }, i): Finished[] => {
        if (verdicts[i] !== 1) return [];
        const { queuedMs } = item;
        const receipt = {
          batchId,
          batchSize,
          paddedShare: 0,
          closedBy,
          queuedMs,
          batchingMs,
          runningMs: passMs,
          attempts: 1,
        };
        return [{ item, result: { receipt, output: { kind: 'score', score: 1 } } }];
      });
      if (finished.length > 0) await publisher.publish(finished);
      onPublished(finished.length);
      return items.map(() => ({ kind: 'done' }));
    },
  });
  await publisher.announceLimits('noop', limits.maxBatchTokens);
  consumer.start();
  return async () => {
    const drained = consumer.drain();
    batcher.drain();
    await drained;
    consumer.close();
  };
}
