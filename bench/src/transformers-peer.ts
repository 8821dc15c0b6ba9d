/** The peer of A: plain BullMQ, its Worker in a process of its own calling transformers.js one job at a time. */
import { Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { openRedis, startProcess } from './processes.js';

const QUEUE = 'transformers';

export interface TransformersPeer {
  /** Adds one job per text in bulk; resolves to the vectors when every result is here. */
  run(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  readonly pid: number;
  readonly redisPid: number;
  stop(): Promise<void>;
}

export async function startTransformers(modelsDir: string, model: string): Promise<TransformersPeer> {
  const redis = await openRedis('transformers');
  const { running } = await startProcess({
    script: 'bench/dist/transformers-worker.js',
    args: [redis.url, QUEUE, modelsDir, model],
    ready: 'transformers.ready',
  }).catch(async (error: unknown) => {
    await redis.stop();
    throw error;
  });
  const connect = () => new Redis(redis.url, { maxRetriesPerRequest: null });
  const [connection, subscriber] = [connect(), connect()];
  const queue = new Queue<{ text: string }, number[]>(QUEUE, { connection });
  const events = new QueueEvents(QUEUE, { connection: subscriber });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  return {
    pid: running.pid,
    redisPid: redis.pid,
    run: (texts) => collect(queue, events, texts),
    async stop() {
      await events.close();
      await queue.close();
      connection.disconnect();
      subscriber.disconnect();
      await running.stop();
      await redis.stop();
    },
  };
}

/** Results come as BullMQ's `completed` events, by job id. */
async function collect(
  queue: Queue<{ text: string }, number[]>,
  events: QueueEvents,
  texts: readonly string[],
): Promise<readonly (readonly number[])[]> {
  const results = new Map<string, readonly number[]>();
  let onFailed = () => {};
  let onCompleted = (_: { jobId: string; returnvalue: unknown }) => {};
  const all = new Promise<void>((resolve, reject) => {
    onFailed = () => reject(new Error('a transformers.js job failed'));
    onCompleted = ({ jobId, returnvalue }) => {
      results.set(jobId, returnvalue as number[]);
      if (results.size === texts.length) resolve();
    };
    events.on('completed', onCompleted as never);
    events.on('failed', onFailed);
  });
  try {
    const jobs = await queue.addBulk(texts.map((text) => ({ name: 'embed', data: { text } })));
    await all;
    return jobs.map(({ id }) => results.get(id!)!);
  } finally {
    events.off('completed', onCompleted as never);
    events.off('failed', onFailed);
  }
}
