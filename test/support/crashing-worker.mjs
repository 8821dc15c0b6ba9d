// @ts-check
/**
 * A worker process whose model doubles what it is given and ends the process (as a fault in native code would) where the
 * value is the poison. Arguments: Redis's URL, queue, poison. Says "ready" once it takes jobs.
 */
import { RunGate, systemClock } from '@shoal/batching';
import { createLogger, createWorkerMetrics } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { encoderWorker } from '../../apps/worker/dist/encoder-worker.js';

const [redisUrl = '', queue = '', poison = ''] = process.argv.slice(2);
const model = /** @type {import('@shoal/models').Model} */ ({ name: queue, version: '1', variant: 'fp32', queue });

/** @param {import('@shoal/models').Row} row */
const numberOf = ({ item }) => (item.kind === 'text' ? (item.ids[0] ?? 0) : 0);

const worker = encoderWorker({
  runner: {
    model,
    joining: { rows: 'any-length', reason: null },
    defaults: {},
    groupKey: () => '',
    run: async (rows) => {
      const values = rows.map(numberOf);
      if (values.includes(Number(poison))) process.kill(process.pid, 'SIGKILL');
      return values.map((value) => ({ kind: 'score', score: 2 * value }));
    },
    close: async () => undefined,
  },
  // No job names one.
  graph: { sha256: undefined },
  hardware: 'a processor',
  limits: { maxBatchSize: 8, maxBatchTokens: 4096, maxDelayMs: 5, passTokens: 4096 },
  redisUrl,
  gate: new RunGate({ places: 1, clock: systemClock }),
  metrics: createWorkerMetrics(new Registry()),
  logger: createLogger({ name: 'worker', level: 'silent' }),
  onRedisError: () => undefined,
  random: Math.random,
});
await worker.start();
process.once('disconnect', () => process.exit(1));
process.once('message', async () => {
  await worker.stop();
  process.exit(0);
});
process.send?.('ready');
