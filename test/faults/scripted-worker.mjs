// @ts-check
/**
 * A worker process whose model is a script; all else is the worker's own code. An item's token ids are what it does:
 * `[number, ms]`: its pass lasts that long, and ends the process (as a fault in native code would) where the number is the
 * poison. Each pass is written to a log before it starts and after its end, so that runs can be counted however the
 * process ends. The output of an item is its number, labelled with the worker's.
 *
 * SHOAL_SCRIPT: JSON { queue, log, label, poison, batch, tokens, runs }.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { RunGate, systemClock } from '@shoal/batching';
import { exitWithParent } from '@shoal/config';
import { createLogger, createWorkerMetrics } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { encoderWorker } from '../../apps/worker/dist/encoder-worker.js';

/** @type {import('./scripted.js').Script} */
const script = JSON.parse(process.env.SHOAL_SCRIPT ?? '{}');
const { queue, log, label, poison, batch, tokens, runs } = script;
const model = /** @type {import('@shoal/models').Model} */ ({ name: queue, version: '1', variant: 'fp32', queue });

/** @param {import('@shoal/models').Row} row */
const idsOf = ({ item }) => (item.kind === 'text' ? item.ids : new Uint32Array(2));

const worker = encoderWorker({
  runner: {
    model,
    joining: { rows: 'any-length', reason: null },
    defaults: {},
    groupKey: () => '',
    run: async (rows) => {
      const numbers = rows.map((row) => idsOf(row)[0] ?? 0);
      const line = `${label} ${numbers.join(',')}\n`;
      appendFileSync(log, `start ${line}`);
      if (poison !== null && numbers.includes(poison)) process.kill(process.pid, 'SIGKILL');
      await pause(Math.max(...rows.map((row) => idsOf(row)[1] ?? 0)));
      appendFileSync(log, `end ${line}`);
      return numbers.map((n) => ({ kind: 'scores', indices: Uint32Array.of(label), scores: Float32Array.of(n) }));
    },
    close: async () => undefined,
  },
  // No job names one.
  graph: { sha256: undefined },
  hardware: 'a processor',
  limits: { maxBatchSize: batch, maxBatchTokens: tokens, maxDelayMs: 5, passTokens: tokens },
  redisUrl: process.env.REDIS_URL ?? '',
  gate: new RunGate({ places: runs, clock: systemClock }),
  metrics: createWorkerMetrics(new Registry()),
  logger: createLogger({ name: 'worker', level: 'silent' }),
  onRedisError: () => undefined,
  random: Math.random,
});
await worker.start();
process.once('SIGTERM', async () => {
  await worker.stop();
  process.exit(0);
});
exitWithParent();
console.log(JSON.stringify({ event: 'worker.ready', metrics: '' }));
