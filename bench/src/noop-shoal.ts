/** The worker's side of libs/queue and libs/batching as apps/worker wires them, with a model that does nothing. */
import { MicroBatcher, NotStarted, RunGate, systemClock } from '@shoal/batching';
import { type ClaimedItem, Consumer, type Finished, type Outcome, Publisher } from '@shoal/queue';

/** As apps/worker: 64 rows and the limits of a model whose passes cost nothing. */
const LIMITS = { maxBatchSize: 64, maxBatchTokens: 4096, maxDelayMs: 5, passTokens: 4096 };
const HELD_BATCHES = 4;
const MAX_RESULT_BYTES = 8 * 1024 * 1024;

export const SHOAL_QUEUE = 'noop.1.fp32.0';

/** Resolves to the function that ends it. */
export async function startShoalWorker(redisUrl: string): Promise<() => Promise<void>> {
  const consumer = new Consumer({
    redisUrl,
    queue: SHOAL_QUEUE,
    holdTokens: HELD_BATCHES * LIMITS.maxBatchTokens,
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
  let batches = 0;
  const batcher = new MicroBatcher<ClaimedItem, Outcome>({
    limits: LIMITS,
    maxRunning: 1,
    gate: new RunGate(8),
    clock: systemClock,
    run: async ({ items, closedBy }, deviceFree) => {
      const verdicts = await publisher.begin(items.map(({ value }) => value));
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
          runningMs: 0,
          attempts: 1,
        };
        return [{ item, result: { receipt, output: { kind: 'score', score: 1 } } }];
      });
      if (finished.length > 0) await publisher.publish(finished);
      return items.map(() => ({ kind: 'done' }));
    },
  });
  await publisher.announceLimits(LIMITS.maxBatchTokens);
  consumer.start();
  return async () => {
    const drained = consumer.drain();
    batcher.drain();
    await drained;
    consumer.close();
  };
}
