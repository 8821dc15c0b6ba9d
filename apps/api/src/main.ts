/** The API process: configure, connect, listen, drain. */
import { blamePort, httpOrigin, runProcess } from '@shoal/config';
import { Catalog, LiveModels } from '@shoal/intake';
import { ModelBoard, openJobStore, openWebhookStore } from '@shoal/queue';
import {
  createApiMetrics,
  createAutoscaleMetrics,
  createLogger,
  createProcessMetrics,
  type Logger,
  listenToRedisErrors,
  logRarely,
  openTracer,
  servePrivately,
} from '@shoal/telemetry';
import { dnsResolve, remember } from '@shoal/webhooks';
import { Registry } from 'prom-client';
import { Autoscale } from './autoscale/autoscale.js';
import { autoscaleRoute } from './autoscale/autoscale-route.js';
import { type Config, loadConfig } from './config.js';
import { openFiles } from './files/open-files.js';
import { Readiness } from './health/readiness.js';
import { HeldRequests } from './http/held-requests.js';
import { createServer } from './server.js';

/** Longest time in ms that open requests may take after SIGTERM; Kubernetes kills after 30 s. */
const DRAIN_MS = 25_000;
/** How long a name's addresses stand while webhooks are registered; each delivery resolves it anew. */
const NAME_MS = 30_000;
const NAMES = 1000;

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  const onRedisError = listenToRedisErrors(processMetrics.redisErrors, logger, Date.now);
  const store = await openJobStore({
    ...config.redis,
    queues: [],
    tenantCapTokens: config.SHOAL_TENANT_MAX_TOKENS,
    queueCapTokens: config.SHOAL_QUEUE_MAX_TOKENS,
    memoryBudget: config.SHOAL_MEMORY_BUDGET,
    tenantMemoryShare: tenantMemoryShareOf(config),
    replication: { minReplicas: config.SHOAL_MIN_REPLICAS, timeoutMs: config.SHOAL_REPLICA_TIMEOUT },
    clock: Date.now,
    onError: onRedisError,
  });
  const delayObjectiveSeconds = config.SHOAL_DELAY_OBJECTIVE / 1000;
  const isBehind = (queue: string) => store.delay(queue) > delayObjectiveSeconds;
  const catalog = new Catalog({ versions: [] }, config.SHOAL_ACCURACY_UNDER_LOAD ? isBehind : undefined);
  const board = await ModelBoard.open(config.redis, onRedisError);
  const live = new LiveModels({
    ...{ folder: config.SHOAL_MODELS_DIR, catalog, store, board, logger },
    clock: Date.now,
    now: () => performance.now(),
  });
  await live.start();
  processMetrics.watchRedis(() =>
    store.ping().then(
      () => true,
      () => false,
    ),
  );
  const webhooks = await openWebhookStore({
    ...config.redis,
    clock: Date.now,
    onError: onRedisError,
  });
  const files =
    config.files.url === null
      ? null
      : await openFiles({
          ...{ redis: config.redis, url: config.files.url, s3: config.files.s3, registry, logger, onRedisError },
          quotas: { files: config.SHOAL_TENANT_MAX_FILES, bytes: config.SHOAL_TENANT_MAX_FILE_BYTES },
          clock: Date.now,
        });
  const tracer = await openTracer({
    name: 'api',
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    onError: logRarely(logger, 'tracing.error', Date.now),
  });
  const autoscale = new Autoscale({
    store,
    queues: () => live.queues,
    delayObjectiveSeconds,
  });
  createAutoscaleMetrics(registry, () => autoscale.readQueues());
  const app = await createServer({
    store,
    webhooks: {
      store: webhooks,
      box: config.SHOAL_SECRET_KEY ?? null,
      allow: config.SHOAL_WEBHOOK_ALLOW,
      resolve: remember(dnsResolve(), NAME_MS, NAMES, Date.now),
      clock: Date.now,
    },
    files: {
      kept: files,
      limits: { bytes: config.SHOAL_FILE_MAX_BYTES, lines: config.SHOAL_FILE_MAX_LINES },
    },
    catalog,
    admin: {
      admins: config.SHOAL_API_KEYS.length > 0 ? config.SHOAL_ADMINS : undefined,
      wish: (selector, wish) => live.wish(selector, wish),
    },
    keys: config.SHOAL_API_KEYS,
    maxBodyBytes: config.SHOAL_MAX_BODY_BYTES,
    corsOrigins: config.SHOAL_CORS_ORIGINS,
    publicUrl: config.SHOAL_PUBLIC_URL?.replace(/\/$/, ''),
    trustedProxies: config.SHOAL_TRUSTED_PROXIES,
    retentionMs: config.SHOAL_RESULT_TTL,
    callTimeoutMs: config.SHOAL_EMBEDDINGS_TIMEOUT,
    generationTimeoutMs: config.SHOAL_GENERATION_TIMEOUT,
    metrics: createApiMetrics(registry, () => store.depths()),
    logger,
    clock: Date.now,
    tracer,
  });
  await app.listen(config.PORT, config.SHOAL_HOST).catch(blamePort('PORT', config.SHOAL_HOST, config.PORT));
  const privateServer = await servePrivately(
    registry,
    async () => (await app.get(Readiness).obstacle()) === null,
    config.SHOAL_METRICS_HOST,
    config.SHOAL_METRICS_PORT,
    autoscaleRoute(autoscale, { tokenDigest: config.SHOAL_AUTOSCALE_TOKEN, host: config.SHOAL_METRICS_HOST }),
  ).catch(blamePort('SHOAL_METRICS_PORT', config.SHOAL_METRICS_HOST, config.SHOAL_METRICS_PORT));
  logger.info('api.ready', {
    address: await app.getUrl(),
    metrics: `${httpOrigin(config.SHOAL_METRICS_HOST, privateServer.port)}/metrics`,
    models: catalog.list().map(({ model }) => `${model.name}/${model.version}`),
  });
  return async () => {
    app.get(Readiness).stop();
    app.get(HeldRequests).end();
    await app.close();
    await live.stop();
    await board.close();
    await store.close();
    webhooks.close();
    await files?.close();
    await tracer?.close();
    await privateServer.close();
  };
}

/** Of several tenants none may take all of the memory; one that is alone may. */
function tenantMemoryShareOf({ SHOAL_API_KEYS, SHOAL_TENANT_MEMORY_PERCENT }: Config): number {
  const tenants = new Set(SHOAL_API_KEYS.map(({ tenant }) => tenant.name));
  return (SHOAL_TENANT_MEMORY_PERCENT ?? (tenants.size > 1 ? 50 : 100)) / 100;
}

await runProcess({
  name: 'api',
  load: loadConfig,
  openLog: (config) => createLogger({ name: 'api', ...(config && { level: config.SHOAL_LOG_LEVEL }) }),
  start,
  graceMs: () => DRAIN_MS,
});
