/** The API process: configure, connect, listen, drain. */
import { blamePort, httpOrigin, runProcess } from '@shoal/config';
import { createModelFace, type Model, type ModelFace, type ModelProblem, openRepository } from '@shoal/models';
import { openJobStore, openWebhookStore } from '@shoal/queue';
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
import { Readiness } from './health/readiness.js';
import { HeldRequests } from './http/held-requests.js';
import { createServer } from './server.js';

/** Longest time in ms that open requests may take after SIGTERM; Kubernetes kills after 30 s. */
const DRAIN_MS = 25_000;
/** How long a name's addresses stand while webhooks are registered; each delivery resolves it anew. */
const NAME_MS = 30_000;
const NAMES = 1000;

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const { models, problems } = await openRepository(config.SHOAL_MODELS_DIR);
  for (const { folder, message } of problems) logger.warn('model.skipped', { folder, reason: message });
  const faces = await loadFaces(models, logger);
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  const onRedisError = listenToRedisErrors(processMetrics.redisErrors, logger, Date.now);
  const store = await openJobStore({
    ...config.redis,
    queues: models.map((model) => model.queue),
    tenantCapTokens: config.SHOAL_TENANT_MAX_TOKENS,
    queueCaps: queueCapsOf(models),
    queueCapTokens: config.SHOAL_QUEUE_MAX_TOKENS,
    memoryBudget: config.SHOAL_MEMORY_BUDGET,
    tenantMemoryShare: tenantMemoryShareOf(config),
    replication: { minReplicas: config.SHOAL_MIN_REPLICAS, timeoutMs: config.SHOAL_REPLICA_TIMEOUT },
    clock: Date.now,
    onError: onRedisError,
  });
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
  const tracer = await openTracer({
    name: 'api',
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    onError: logRarely(logger, 'tracing.error', Date.now),
  });
  const autoscale = new Autoscale({
    store,
    queues: queuesOf(models),
    delayObjectiveSeconds: config.SHOAL_DELAY_OBJECTIVE / 1000,
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
    faces,
    unserved: unservedOf(models, problems),
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
    models: faces.map(({ model }) => `${model.name}/${model.version}`),
  });
  return async () => {
    app.get(Readiness).stop();
    app.get(HeldRequests).end();
    await app.close();
    await store.close();
    webhooks.close();
    await tracer?.close();
    await privateServer.close();
  };
}

/** One face per version: its variants differ in the graph only. */
async function loadFaces(models: readonly Model[], logger: Logger): Promise<ModelFace[]> {
  const versions = new Map<string, Model>();
  for (const model of models) {
    const key = `${model.name}/${model.version}`;
    if (!versions.has(key)) versions.set(key, model);
  }
  const faces = await Promise.all(
    [...versions].map(([key, model]) =>
      createModelFace(model).catch((error: unknown) => {
        logger.warn('model.skipped', { folder: key }, error);
        return [];
      }),
    ),
  );
  return faces.flat();
}

/** What a caller is told of each name that turns out not to be served, though there is a folder for it. */
function unservedOf(models: readonly Model[], problems: readonly ModelProblem[]): ReadonlyMap<string, string> {
  const nameOf = ({ folder }: ModelProblem) => folder.split('/', 1)[0]!;
  const broken = 'This model cannot be loaded; the log of the server says why.';
  return new Map([
    ...models.map(({ name }) => [name, broken] as const),
    ...problems.map((problem) => [nameOf(problem), broken] as const),
  ]);
}

/** The queues of each model: one per version and variant. */
function queuesOf(models: readonly Model[]): ReadonlyMap<string, readonly string[]> {
  const queues = new Map<string, string[]>();
  for (const { name, queue } of models) queues.set(name, [...(queues.get(name) ?? []), queue]);
  return queues;
}

/** Of several tenants none may take all of the memory; one that is alone may. */
function tenantMemoryShareOf({ SHOAL_API_KEYS, SHOAL_TENANT_MEMORY_PERCENT }: Config): number {
  const tenants = new Set(SHOAL_API_KEYS.map(({ tenant }) => tenant.name));
  return (SHOAL_TENANT_MEMORY_PERCENT ?? (tenants.size > 1 ? 50 : 100)) / 100;
}

function queueCapsOf(models: readonly Model[]): Record<string, number> {
  const caps: Record<string, number> = {};
  for (const { queue, shoal } of models) {
    const cap = shoal.limits?.max_queued_tokens;
    if (cap !== undefined) caps[queue] = cap;
  }
  return caps;
}

await runProcess({
  name: 'api',
  load: loadConfig,
  openLog: (config) => createLogger({ name: 'api', ...(config && { level: config.SHOAL_LOG_LEVEL }) }),
  start,
  graceMs: () => DRAIN_MS,
});
