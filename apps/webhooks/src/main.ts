/** The process that delivers webhooks: configure, connect, relay and send, drain. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { blamePort, httpOrigin, runProcess } from '@shoal/config';
import type { JobRecord } from '@shoal/contracts';
import { openWebhookBackend, waitForRedis } from '@shoal/queue';
import {
  createLogger,
  createProcessMetrics,
  createWebhookMetrics,
  type Logger,
  listenToRedisErrors,
  logRarely,
  openTracer,
  servePrivately,
} from '@shoal/telemetry';
import { dnsResolve } from '@shoal/webhooks';
import { Registry } from 'prom-client';
import { type Config, loadConfig } from './config.js';
import { DeliveriesProcessor } from './deliveries.processor.js';
import { Presenters } from './presenters.js';
import { Relay } from './relay.js';
import { CLOSE_MS, waitAtMost } from './wait-at-most.js';
import { webhooksModule } from './webhooks.module.js';

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const presenters = new Presenters(logger);
  await presenters.start(config.SHOAL_MODELS_DIR, Date.now);
  await waitForRedis(config.redis, {
    role: 'webhooks',
    onWarning: (warning) => logger.error('redis.unsafe', {}, warning),
  });
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  let ready = false;
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: port } = config;
  const isReady = () => ready && backend.redis.status === 'ready';
  const server = await servePrivately(registry, isReady, host, port).catch(blamePort('SHOAL_METRICS_PORT', host, port));
  const backend = openWebhookBackend({
    ...config.redis,
    clock: Date.now,
    onError: listenToRedisErrors(processMetrics.redisErrors, logger, Date.now),
  });
  processMetrics.watchRedis(() => backend.redis.status === 'ready');
  const tracer = await openTracer({
    name: 'webhooks',
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    onError: logRarely(logger, 'tracing.error', Date.now),
  });
  let processor: DeliveriesProcessor | undefined;
  const parts = {
    backend,
    payloads: {
      records: backend,
      presenterOf: (record: JobRecord) => presenters.of(record),
      publicUrl: config.SHOAL_PUBLIC_URL.replace(/\/$/, ''),
    },
    box: config.SHOAL_SECRET_KEY,
    sender: {
      resolve: dnsResolve(),
      allow: config.SHOAL_WEBHOOK_ALLOW,
      timeoutMs: config.SHOAL_WEBHOOK_TIMEOUT,
      clock: Date.now,
    },
    schedule: config.SHOAL_WEBHOOK_SCHEDULE,
    concurrency: config.SHOAL_WEBHOOK_CONCURRENCY,
    receiverConcurrency: config.SHOAL_WEBHOOK_RECEIVER_CONCURRENCY,
    random: Math.random,
    stopwatch: () => performance.now(),
    // Where Redis is away it is not asked: a scrape would wait for it.
    metrics: createWebhookMetrics(registry, async () => {
      return backend.redis.status === 'ready' ? processor?.backlog() : undefined;
    }),
    logger,
    tracer,
  };
  const app = await NestFactory.createApplicationContext(webhooksModule(parts), { logger: false, abortOnError: false });
  const relay = app.get(Relay);
  const deliveries = app.get(DeliveriesProcessor);
  processor = deliveries;
  deliveries.start();
  relay.start();
  ready = true;
  logger.info('webhooks.ready', { metrics: `${httpOrigin(host, server.port)}/metrics` });
  return async () => {
    ready = false;
    await Promise.all([waitAtMost(CLOSE_MS, relay.stop()), deliveries.stop()]);
    await waitAtMost(CLOSE_MS, app.close());
    await presenters.stop();
    await tracer?.close();
    backend.close();
    await server.close();
  };
}

await runProcess({
  name: 'webhooks',
  load: loadConfig,
  openLog: (config) => createLogger({ name: 'webhooks', ...(config && { level: config.SHOAL_LOG_LEVEL }) }),
  start,
  graceMs: ({ SHOAL_DRAIN_TIMEOUT }) => SHOAL_DRAIN_TIMEOUT,
});
