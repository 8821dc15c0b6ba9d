/**
 * Webhooks on a Redis of one test's own: what the API writes, the relay and the deliverer in this process, and jobs of a
 * queue whose model is a function.
 */
import { randomBytes } from 'node:crypto';
import { NestFactory } from '@nestjs/core';
import type { WebhookEvent } from '@shoal/contracts';
import { AllowList } from '@shoal/network';
import { type Endpoint, type NewEndpoint, openWebhookBackend, openWebhookStore, type WebhookStore } from '@shoal/queue';
import { createLogger, createWebhookMetrics, type WebhookMetrics } from '@shoal/telemetry';
import { newSecret, SecretBox, type Sender } from '@shoal/webhooks';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { Deliverer } from '../../apps/webhooks/dist/deliverer.js';
import { DeliveriesProcessor } from '../../apps/webhooks/dist/deliveries.processor.js';
import { type Carried, Dispatcher } from '../../apps/webhooks/dist/dispatcher.js';
import { Relay } from '../../apps/webhooks/dist/relay.js';
import { type Parts, webhooksModule } from '../../apps/webhooks/dist/webhooks.module.js';
import { startOwnRedis } from './own-redis.js';
import { type Bench, type BenchOptions, type JobOptions, openBench, TENANT } from './queue-harness.js';

export interface WebhookBench extends Bench {
  readonly redisUrl: string;
  readonly store: Bench['store'];
  readonly webhooks: WebhookStore;
  readonly box: SecretBox;
  readonly secret: string;
  openWebhooks(): Promise<WebhookStore>;
  /** An endpoint that `secret` signs for. */
  endpoint(url: string, events: readonly WebhookEvent[], changes?: Partial<NewEndpoint>): Promise<Endpoint>;
  /** Submits a job that tells what the endpoints of its tenant (`TENANT` where left out) and `webhook` want. */
  submitSubscribed(
    value: number,
    webhook?: { url: string; events: readonly WebhookEvent[]; secret?: string },
    tenant?: string,
  ): Promise<string>;
  parts(changes?: PartChanges): Parts;
  /** Relay and processor, until the test ends. */
  start(changes?: PartChanges): Promise<Delivering>;
  /** A deliverer and a dispatcher alone: nothing happens by itself. */
  still(changes?: PartChanges & { readonly disableAfterMs?: number }): Still;
}

export type PartChanges = Partial<Omit<Parts, 'sender' | 'backend'>> & { readonly sender?: Partial<Sender> };

export interface Delivering {
  readonly metrics: WebhookMetrics;
  readonly logged: readonly string[];
  stop(): Promise<void>;
}

export interface Still {
  readonly deliverer: Deliverer;
  readonly dispatcher: Dispatcher;
  /** Carriers that were handed to BullMQ. */
  readonly enqueued: Carried[];
  readonly backend: Parts['backend'];
}

const ALL = { started: true, output: true, ended: true };
const SILENT = createLogger({ name: 'test', level: 'silent' });

/** Of a Redis of its own, where none is given; `webhooksUrl` is how deliveries log in, where not as the API does. */
export async function openWebhookBench(
  allow: readonly string[],
  { webhooksUrl, ...given }: Partial<BenchOptions> & { readonly webhooksUrl?: string } = {},
): Promise<WebhookBench> {
  const redisUrl = given.redisUrl ?? (await startOwnRedis());
  const { redisCa, redisCluster, redisSentinels } = given;
  const bench = await openBench({ ...given, redisUrl });
  const box = new SecretBox(randomBytes(32));
  const secret = newSecret();
  const options = { redisUrl, redisCa, redisCluster, redisSentinels, clock: Date.now, onError: () => undefined };
  const openWebhooks = async () => {
    const store = await openWebhookStore(options);
    onTestFinished(() => store.close());
    return store;
  };
  const webhooks = await openWebhooks();

  const parts = ({ sender, ...changes }: PartChanges = {}): Parts => {
    const backend = openWebhookBackend({ ...options, redisUrl: webhooksUrl ?? redisUrl });
    onTestFinished(() => backend.close());
    return {
      backend,
      payloads: { records: backend, presenterOf: () => ({ present: presentScores }), publicUrl: '' },
      box,
      sender: {
        resolve: async () => ['127.0.0.1'],
        allow: new AllowList([...allow]),
        timeoutMs: 2000,
        clock: Date.now,
        ...sender,
      },
      schedule: [0, 20, 40, 60],
      concurrency: 64,
      receiverConcurrency: 8,
      random: Math.random,
      stopwatch: () => performance.now(),
      metrics: createWebhookMetrics(new Registry()),
      logger: SILENT,
      ...changes,
    };
  };

  return {
    ...bench,
    redisUrl,
    webhooks,
    box,
    secret,
    openWebhooks,
    endpoint: (url, events, changes) =>
      webhooks.createEndpoint(TENANT, {
        url,
        events,
        description: '',
        disabled: null,
        sealed: box.seal(secret, TENANT),
        ...changes,
      }),
    async submitSubscribed(value, webhook, tenant = TENANT) {
      const job = bench.job(value, { webhookEvents: ALL, tenant } satisfies JobOptions);
      const [admitted] = await bench.store.submit([{ ...job, meta: { ...job.meta, ...(webhook && { webhook }) } }]);
      if (admitted === undefined || admitted instanceof Error) throw admitted;
      return admitted.id;
    },
    parts,
    async start(changes) {
      const logged: string[] = [];
      const logger = createLogger({ name: 'test', destination: { write: (line) => void logged.push(line) } });
      const all = parts({ logger, ...changes });
      const app = await NestFactory.createApplicationContext(webhooksModule(all), {
        logger: false,
        abortOnError: false,
      });
      const [relay, processor] = [app.get(Relay), app.get(DeliveriesProcessor)];
      processor.start();
      relay.start();
      let stopped: Promise<void> | undefined;
      const close = async () => {
        await Promise.all([relay.stop(), processor.stop()]);
        await app.close();
      };
      const stop = () => {
        stopped ??= close();
        return stopped;
      };
      onTestFinished(stop);
      return { metrics: all.metrics, logged, stop };
    },
    still({ disableAfterMs = Number.POSITIVE_INFINITY, ...changes } = {}) {
      const all = parts(changes);
      const enqueued: Still['enqueued'] = [];
      const dispatcher = new Dispatcher({
        backend: all.backend,
        enqueue: async (deliveries) => void enqueued.push(...deliveries),
        discard: async () => undefined,
        metrics: all.metrics,
      });
      const deliverer = new Deliverer({ ...all, disableAfterMs, onSecretTrouble: () => undefined });
      return { deliverer, dispatcher, enqueued, backend: all.backend };
    },
  };
}

/** The scripted models' outputs: a number each. */
const presentScores: ReturnType<Parts['payloads']['presenterOf']> extends infer P | undefined
  ? P extends { present: infer Present }
    ? Present
    : never
  : never = ({ array }, results) => {
  const output = results.map((result) => (result?.output?.kind === 'score' ? result.output.score : null));
  return { output: array ? output : output[0], errors: [] };
};
