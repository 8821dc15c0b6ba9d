/** The worker's engine on a queue, as apps/worker wires them, with a pass that does nothing or sleeps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchLimits, RunGate, systemClock } from '@shoal/batching';
import type { Model } from '@shoal/models';
import { Consumer, Publisher } from '@shoal/queue';
import { EncoderEngine } from '../../apps/worker/dist/encoder-engine.js';

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
const MAX_RESULT_BYTES = 8 * 1024 * 1024;

export const SHOAL_QUEUE = 'noop.1.fp32.0';

/** Resolves to the function that ends it. `onPublished` hears how many items each batch has published. */
export async function startShoalWorker(
  redisUrl: string,
  { limits, passMs } = NO_DEVICE,
  onPublished: (items: number) => void = () => undefined,
): Promise<() => Promise<void>> {
  const consumer = new Consumer({
    redisUrl,
    queue: SHOAL_QUEUE,
    clock: Date.now,
    onError: (error) => console.error(error),
  });
  const publisher = new Publisher({ redis: consumer.redis, queue: SHOAL_QUEUE, maxResultBytes: MAX_RESULT_BYTES });
  // One pass at a time, however many batches are on their way: what apps/worker does by default on a GPU.
  let deviceFreed = Promise.resolve<unknown>(undefined);
  const engine = new EncoderEngine({
    runner: {
      model: { name: 'noop', version: '1', variant: 'fp32', queue: SHOAL_QUEUE } as Model,
      joining: { rows: 'any-length', reason: null },
      defaults: {},
      groupKey: () => '',
      run: async (rows) => {
        deviceFreed = deviceFreed.then(() => (passMs > 0 ? sleep(passMs) : undefined));
        await deviceFreed;
        return rows.map(() => ({ kind: 'score', score: 1 }));
      },
      close: async () => undefined,
    },
    limits,
    gate: new RunGate({ places: passMs > 0 ? 2 : 1, sideBySide: 1, clock: systemClock }),
    clock: systemClock,
    publisher,
    rate: { add: () => undefined },
    reporter: {
      holds: () => undefined,
      ran: () => undefined,
      published: ({ items }) => onPublished(items.length),
    },
    random: Math.random,
  });
  await publisher.announceLimits('noop', limits.maxBatchTokens);
  consumer.start(engine);
  return async () => {
    await Promise.all([consumer.drain(), engine.drain()]);
    consumer.close();
  };
}
