/**
 * A worker process with a simulated device: the URL of Redis, ms of a pass, most items of a pass, tokens of an item.
 * Any message asks how many items it has published so far.
 */
import { startShoalWorker } from './noop-shoal.js';

const [redisUrl = '', ...numbers] = process.argv.slice(2);
const [passMs = 0, rows = 1, tokens = 1] = numbers.map(Number);
process.once('disconnect', () => process.exit(0));

let published = 0;
process.on('message', () => process.send?.(published));
const limits = { maxBatchSize: rows, maxBatchTokens: rows * tokens, maxDelayMs: 5, passTokens: rows * tokens };
const stop = await startShoalWorker(redisUrl, { limits, passMs }, (items) => {
  published += items;
});
process.once('SIGTERM', () => void stop().then(() => process.exit(0)));
console.log('scale.ready');
