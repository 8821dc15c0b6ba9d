/** What delivers webhooks: every object is built here, once, from what the process was given. */
import { BullModule, getQueueToken } from '@nestjs/bullmq';
import { type DynamicModule, Module } from '@nestjs/common';
import { WEBHOOKS_TAG, type WebhookBackend } from '@shoal/queue';
import { type Logger, logRarely, type Tracer, type WebhookMetrics } from '@shoal/telemetry';
import { DISABLE_AFTER_MS, type SecretBox, type Sender } from '@shoal/webhooks';
import type { Queue } from 'bullmq';
import { AttemptSlots } from './attempt-slots.js';
import { Deliverer } from './deliverer.js';
import { DELIVERIES, DeliveriesProcessor } from './deliveries.processor.js';
import { type Delivery, type Discard, Dispatcher, type Enqueue } from './dispatcher.js';
import type { PayloadSource } from './payload.js';
import { Relay } from './relay.js';

/** Messages of one tenant that are called when it is their turn; more come back by themselves. */
const REMEMBERED = 10_000;
/** A processor that throws is a fault of ours; the message is tried again. */
const FAULT_MS = 5000;

/** What it needs from outside. */
export interface Parts {
  readonly backend: WebhookBackend;
  readonly payloads: PayloadSource;
  readonly box: SecretBox;
  readonly sender: Sender;
  readonly schedule: readonly number[];
  readonly concurrency: number;
  readonly receiverConcurrency: number;
  readonly random: () => number;
  /** Ms of a clock that only goes forward, for durations. */
  readonly stopwatch: () => number;
  readonly metrics: WebhookMetrics;
  readonly logger: Logger;
  /** Undefined: attempts are not traced. */
  readonly tracer?: Tracer | undefined;
}

@Module({})
class WebhooksModule {}

export function webhooksModule(parts: Parts): DynamicModule {
  const { backend, sender, schedule, metrics, logger, random } = parts;
  const queue = { provide: 'deliveries', useExisting: getQueueToken(DELIVERIES) };
  return {
    module: WebhooksModule,
    imports: [
      BullModule.registerQueueAsync({
        name: DELIVERIES,
        useFactory: () => ({
          connection: backend.redis,
          prefix: WEBHOOKS_TAG,
          skipVersionCheck: true,
          streams: { events: { maxLen: 10 } },
          defaultJobOptions: {
            attempts: Number.MAX_SAFE_INTEGER,
            backoff: { type: 'fixed', delay: FAULT_MS },
            removeOnComplete: true,
            removeOnFail: true,
          },
        }),
      }),
    ],
    providers: [
      queue,
      {
        provide: Relay,
        useFactory: (deliveries: Queue<Delivery>) => {
          deliveries.on('error', logRarely(logger, 'redis.error', sender.clock));
          const enqueue = enqueueTo(deliveries, schedule[0] ?? 0);
          const dispatcher = new Dispatcher({ backend, enqueue, discard: discardFrom(deliveries), metrics });
          return new Relay({ backend, dispatcher, onError: logRarely(logger, 'relay.trouble', sender.clock) });
        },
        inject: [queue.provide],
      },
      {
        provide: DeliveriesProcessor,
        useFactory: (deliveries: Queue<Delivery>) => {
          return new DeliveriesProcessor({
            queue: deliveries,
            deliverer: new Deliverer({
              ...parts,
              disableAfterMs: DISABLE_AFTER_MS,
              onSecretTrouble: logRarely(logger, 'webhook.no_secret', sender.clock),
            }),
            slots: new AttemptSlots({
              total: parts.concurrency,
              perReceiver: parts.receiverConcurrency,
              remembered: REMEMBERED,
            }),
            concurrency: parts.concurrency,
            clock: sender.clock,
            random,
            metrics,
            logger,
          });
        },
        inject: [queue.provide],
      },
    ],
  };
}

function enqueueTo(queue: Queue<Delivery>, delay: number): Enqueue {
  return async (deliveries) => {
    if (deliveries.length === 0) return;
    await queue.addBulk(
      deliveries.map(({ carrier, priority, ...data }) => {
        return { name: 'delivery', data, opts: { jobId: carrier, delay, priority } };
      }),
    );
  };
}

function discardFrom(queue: Queue<Delivery>): Discard {
  return async (carriers) => {
    // One that is being sent is locked; what becomes of it is recorded nowhere.
    await Promise.all(carriers.map((carrier) => queue.remove(carrier).catch(() => undefined)));
  };
}
