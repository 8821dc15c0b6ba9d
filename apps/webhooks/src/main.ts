/** The process that delivers webhooks: configure, connect, relay and send, drain. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { blamePort, ConfigError, exitWithParent, httpOrigin, stopOnSignal } from '@shoal/config';
import { type JobRecord, ShoalError } from '@shoal/contracts';
import { createPresenter, openRepository, type Presenter } from '@shoal/models';
import { openWebhookBackend, waitForRedis } from '@shoal/queue';
import {
  createLogger,
  createProcessMetrics,
  createWebhookMetrics,
  type Logger,
  logRarely,
  openTracer,
  servePrivately,
} from '@shoal/telemetry';
import { dnsResolve } from '@shoal/webhooks';
import { Registry } from 'prom-client';
import { type Config, loadConfig } from './config.js';
import { DeliveriesProcessor } from './deliveries.processor.js';
import { Relay } from './relay.js';
import { webhooksModule } from './webhooks.module.js';
import { CLOSE_MS, within } from './within.js';

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const presenterOf = await loadPresenters(config, logger);
  await waitForRedis(config.redis);
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  const tellRedisError = logRarely(logger, 'redis.error', Date.now);
  let ready = false;
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: port } = config;
  const server = await servePrivately(registry, () => ready, host, port).catch(
    blamePort('SHOAL_METRICS_PORT', host, port),
  );
  const backend = openWebhookBackend({
    ...config.redis,
    clock: Date.now,
    onError: (error) => {
      processMetrics.redisErrors.inc();
      tellRedisError(error);
    },
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
    payloads: { readJob: backend.readJob, presenterOf, publicUrl: config.SHOAL_PUBLIC_URL.replace(/\/$/, '') },
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
    await Promise.all([within(relay.stop(), CLOSE_MS), deliveries.stop()]);
    await within(app.close(), CLOSE_MS);
    await tracer?.close();
    backend.close();
    await server.close();
  };
}

/** Outputs are shown as the API shows them; tokenizers are not needed for that. */
async function loadPresenters(config: Config, logger: Logger): Promise<(record: JobRecord) => Presenter | undefined> {
  const { models, problems } = await openRepository(config.SHOAL_MODELS_DIR);
  for (const { folder, message } of problems) logger.warn('model.skipped', { folder, reason: message });
  const presenters = new Map(models.map((model) => [`${model.name}/${model.version}`, createPresenter(model)]));
  return ({ meta }) => presenters.get(`${meta.model}/${meta.version}`);
}

async function main(): Promise<void> {
  let logger = createLogger({ name: 'webhooks' });
  try {
    const config = loadConfig();
    logger = createLogger({ name: 'webhooks', level: config.SHOAL_LOG_LEVEL });
    for (const { variable, message } of config.unknown) logger.warn('config.unknown', { variable, reason: message });
    await stopOnSignal({
      start: () => start(config, logger),
      graceMs: config.SHOAL_DRAIN_TIMEOUT,
      say: (stage, error) => logger[error === undefined ? 'info' : 'error'](`webhooks.${stage}`, {}, error),
    });
    exitWithParent();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof ShoalError) process.stderr.write(`${error.message}\n`);
    else logger.fatal('webhooks.start_failed', {}, error);
    process.exit(1);
  }
}

await main();
