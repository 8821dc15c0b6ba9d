/** Plain BullMQ: a Worker whose processor does nothing, with the settings its manual recommends for throughput. */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

export const PLAIN_QUEUE = 'plain';

export interface PlainWorker {
  /** Resolves when `count` more jobs have been processed, `concurrency` at once. */
  processed(count: number, concurrency: number): Promise<void>;
  close(): Promise<void>;
}

export async function startPlainWorker(redisUrl: string): Promise<PlainWorker> {
  let left = 0;
  let resolve = () => {};
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const worker = new Worker(PLAIN_QUEUE, async () => undefined, { connection, removeOnComplete: { count: 0 } });
  worker.on('completed', () => {
    left--;
    if (left === 0) resolve();
  });
  worker.on('error', (error) => console.error(error));
  await worker.waitUntilReady();
  return {
    processed(count, concurrency) {
      worker.concurrency = concurrency;
      left = count;
      return new Promise<void>((done) => {
        resolve = done;
      });
    },
    async close() {
      await worker.close();
      connection.disconnect();
    },
  };
}
