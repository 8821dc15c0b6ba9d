/** A process of its own: a BullMQ Worker that calls transformers.js for one job at a time. */
import { env, pipeline } from '@huggingface/transformers';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [redisUrl = '', queue = '', modelsDir = '', model = ''] = process.argv.slice(2);

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = modelsDir;
const embed = await pipeline('feature-extraction', model, { dtype: 'fp32', device: 'cpu', local_files_only: true });

const worker = new Worker<{ text: string }, number[]>(
  queue,
  async ({ data }) => {
    const { data: values } = await embed(data.text, { pooling: 'mean', normalize: true });
    return Array.from(values as Float32Array);
  },
  { connection: new Redis(redisUrl, { maxRetriesPerRequest: null }), concurrency: 1, removeOnComplete: { count: 0 } },
);
await worker.waitUntilReady();
process.once('SIGTERM', () => {
  void worker.close().then(() => process.exit(0));
});
process.once('disconnect', () => process.exit(1));
console.log('transformers.ready');
