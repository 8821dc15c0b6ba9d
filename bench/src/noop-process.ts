/** A no-op worker in a process of its own: `shoal` or `plain`, then the URL of Redis. */
import { startPlainWorker } from './noop-plain.js';
import { startShoalWorker } from './noop-shoal.js';

export interface PlainOrder {
  readonly count: number;
  readonly concurrency: number;
}

const [kind, redisUrl = ''] = process.argv.slice(2);
process.once('disconnect', () => process.exit(0));

if (kind === 'shoal') {
  const stop = await startShoalWorker(redisUrl);
  process.once('SIGTERM', () => void stop().then(() => process.exit(0)));
} else {
  const worker = await startPlainWorker(redisUrl);
  process.on('message', ({ count, concurrency }: PlainOrder) => {
    void worker.processed(count, concurrency).then(() => process.send?.('processed'));
    process.send?.('counting');
  });
  process.once('SIGTERM', () => void worker.close().then(() => process.exit(0)));
}
console.log('noop.ready');
