/** The worker process: configure, load models, measure, consume, drain. */
import { availableParallelism } from 'node:os';
import { RunGate, systemClock } from '@shoal/batching';
import { blamePort, httpOrigin, runProcess } from '@shoal/config';
import { ShoalError } from '@shoal/contracts';
import { memoryForModels } from '@shoal/generation';
import { type Repository, type RepositoryWatch, watchRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { ModelBoard, waitForRedis } from '@shoal/queue';
import {
  createGenerationMetrics,
  createLogger,
  createProcessMetrics,
  createWorkerMetrics,
  type Logger,
  listenToRedisErrors,
  logRarely,
  openTracer,
  servePrivately,
} from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { type Config, loadConfig } from './config.js';
import { loadGenerator } from './load-generator.js';
import { loadModel } from './load-model.js';
import { ServedModels } from './served-models.js';

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const repository = await watchModels(config, logger);
  checkNames(config, repository.current);
  await waitForRedis(config.redis, {
    role: 'worker',
    onWarning: (warning) => logger.error('redis.unsafe', {}, warning),
  });
  const runtime = await openRuntime({
    ...(config.SHOAL_RUNTIME && { prefer: config.SHOAL_RUNTIME }),
    log: (message) => logger.warn('runtime.fallback', { reason: message }),
  });
  logger.info('runtime.ready', {
    kind: runtime.kind,
    version: runtime.version,
    device: config.SHOAL_DEVICE,
    threads: config.givenThreads ?? 1,
    runs: config.concurrentRuns,
  });
  if (config.concurrentRuns < config.wantedRuns) {
    logger.warn('runtime.runs_limited', {
      runs: config.concurrentRuns,
      wanted: config.wantedRuns,
      reason: `libuv's pool has ${config.UV_THREADPOOL_SIZE} threads: start the worker by start.cjs, or set UV_THREADPOOL_SIZE`,
    });
  }
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  const metrics = createWorkerMetrics(registry);
  const generation = createGenerationMetrics(registry);
  const onRedisError = listenToRedisErrors(processMetrics.redisErrors, logger, Date.now);
  const tracer = await openTracer({
    name: 'worker',
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    onError: logRarely(logger, 'tracing.error', Date.now),
  });
  const gate = new RunGate({
    places: config.concurrentRuns,
    // A device takes passes in turn, and so does a session that lives in a thread of its own.
    ...((config.SHOAL_DEVICE !== 'cpu' || runtime.kind !== 'c-api') && { sideBySide: 1 }),
    clock: systemClock,
  });
  const resident = () => process.memoryUsage.rss();
  let ready = false;
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: port } = config;
  const readiness = () => ({ ready: ready && models.connected, notes: models.notes });
  const server = await servePrivately(registry, readiness, host, port).catch(
    blamePort('SHOAL_METRICS_PORT', host, port),
  );
  const context = { config, runtime, metrics, gate, logger, tracer, onRedisError };
  const board = await ModelBoard.open(config.redis, onRedisError);
  const models: ServedModels = new ServedModels({
    names: config.SHOAL_MODELS,
    load(model, room) {
      if (model.generator === null) return loadModel(model, context);
      // Models that generate text share the cores and the memory of this process.
      const { generators } = models;
      const threads = Math.max(1, Math.floor(availableParallelism() / generators));
      const memoryLimit = Math.min(memoryForModels(), resident() + room.bytes);
      return loadGenerator(model, { ...context, generation, threads, memoryLimit, cacheShare: room.cacheShare });
    },
    board,
    memory: modelMemoryOf(config),
    keepMs: config.SHOAL_MODEL_KEEP,
    logger,
    metrics,
    resident,
    now: () => performance.now(),
  });
  await models.start(repository.current);
  repository.start((changed) => models.follow(changed));
  processMetrics.watchRedis(() => models.connected);
  ready = true;
  await models.reportColdStart(process.uptime());
  logger.info('worker.ready', {
    metrics: `${httpOrigin(host, server.port)}/metrics`,
    models: models.names,
  });
  return async () => {
    ready = false;
    await Promise.all([repository.stop(), models.stop()]);
    await board.close();
    await tracer?.close();
    await server.close();
  };
}

/** The repository, and what is wrong with it in the log. */
async function watchModels({ SHOAL_MODELS_DIR }: Config, logger: Logger): Promise<RepositoryWatch> {
  return await watchRepository(SHOAL_MODELS_DIR, {
    onProblem: ({ folder, message, served }) => {
      // What was measured of a model is the API's business, which tells of it.
      if (!served) logger.warn('model.skipped', { folder, reason: message });
    },
    onTrouble: logRarely(logger, 'models.unseen', Date.now),
  });
}

/** On other devices than the CPU models have memory of their own, whose size is not known. */
function modelMemoryOf({ SHOAL_MODEL_MEMORY, SHOAL_DEVICE }: Config): number {
  return SHOAL_MODEL_MEMORY ?? (SHOAL_DEVICE === 'cpu' ? memoryForModels() : Number.POSITIVE_INFINITY);
}

/** @throws ShoalError `model_not_found` where SHOAL_MODELS names what is not there: a slip would wait for ever */
function checkNames({ SHOAL_MODELS: wanted, SHOAL_MODELS_DIR }: Config, { models, problems }: Repository): void {
  const missing = wanted.filter((name) => !models.some((model) => model.name === name));
  if (missing.length === 0) return;
  const there = [...new Set(models.map(({ name }) => name))].join(', ') || 'none';
  const reasons = problems.filter(({ folder }) => missing.includes(folder.split('/', 1)[0]!));
  const why = reasons.map(({ folder, message }) => `; ${folder} is not among them: ${message}`).join('');
  throw new ShoalError(
    'model_not_found',
    `SHOAL_MODELS names ${missing.join(', ')}; the models that can be served from ${SHOAL_MODELS_DIR}: ${there}${why}`,
  );
}

await runProcess({
  name: 'worker',
  load: loadConfig,
  openLog: (config) => createLogger({ name: 'worker', ...(config && { level: config.SHOAL_LOG_LEVEL }) }),
  start,
  graceMs: ({ SHOAL_DRAIN_TIMEOUT }) => SHOAL_DRAIN_TIMEOUT,
});
