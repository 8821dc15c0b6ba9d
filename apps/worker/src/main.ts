/** The worker process: configure, load models, measure, consume, drain. */
import { availableParallelism } from 'node:os';
import { RunGate, systemClock } from '@shoal/batching';
import { blamePort, httpOrigin, runProcess } from '@shoal/config';
import { ShoalError } from '@shoal/contracts';
import { memoryOfProcess } from '@shoal/generation';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { waitForRedis } from '@shoal/queue';
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
import type { ModelWorker } from './model-worker.js';

async function start(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const models = await chooseModels(config, logger);
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
    threads: config.SHOAL_INTRA_OP_THREADS,
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
  let ready = false;
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: port } = config;
  const unserved: string[] = [];
  const readiness = () => ({ ready: ready && workers.every(({ connected }) => connected), notes: unserved });
  const server = await servePrivately(registry, readiness, host, port).catch(
    blamePort('SHOAL_METRICS_PORT', host, port),
  );
  const workers: ModelWorker[] = [];
  const context = { config, runtime, metrics, gate, logger, tracer, onRedisError };
  // Models that generate text share the cores and the memory of this process.
  const generators = Math.max(1, models.filter((model) => model.generator !== null).length);
  const forText = {
    ...{ ...context, generation, memoryLimit: memoryOfProcess() / generators },
    threads: config.SHOAL_GENERATION_THREADS ?? Math.max(1, Math.floor(availableParallelism() / generators)),
  };
  let failure: unknown;
  for (const model of models) {
    try {
      workers.push(await (model.generator === null ? loadModel(model, context) : loadGenerator(model, forText)));
    } catch (error) {
      // The others are served; jobs for this one wait for a worker that can load it.
      failure ??= error;
      const { name, version, variant } = model;
      const path = `${name}/${version}/${variant}`;
      unserved.push(`${path} is not served: it does not load`);
      metrics.modelLoadFailures.set({ model: name, version, variant }, 1);
      logger.error('model.load_failed', { model: path }, error);
    }
  }
  if (workers.length === 0) throw failure;
  processMetrics.watchRedis(() => workers.every(({ connected }) => connected));
  // At once: of a Redis Cluster, the node of one model may be away.
  await Promise.all(workers.map((worker) => worker.start()));
  ready = true;
  const seconds = process.uptime();
  await Promise.all(workers.map((worker) => worker.reportColdStart(seconds)));
  logger.info('worker.ready', {
    metrics: `${httpOrigin(host, server.port)}/metrics`,
    models: workers.map(({ name }) => name),
  });
  return async () => {
    ready = false;
    await Promise.all(workers.map((worker) => worker.stop()));
    await tracer?.close();
    await server.close();
  };
}

/** Every version and variant of the models asked for, so that jobs admitted before an upgrade still find a worker. */
async function chooseModels(config: Config, logger: Logger): Promise<Model[]> {
  const { models, problems } = await openRepository(config.SHOAL_MODELS_DIR);
  for (const { folder, message } of problems) logger.warn('model.skipped', { folder, reason: message });
  const wanted = config.SHOAL_MODELS;
  const chosen = wanted.length === 0 ? models : models.filter(({ name }) => wanted.includes(name));
  const missing = wanted.filter((name) => !models.some((model) => model.name === name));
  if (missing.length > 0) {
    const there = [...new Set(models.map(({ name }) => name))].join(', ') || 'none';
    throw new ShoalError(
      'model_not_found',
      `SHOAL_MODELS names ${missing.join(', ')}; the models that can be served from ${config.SHOAL_MODELS_DIR}: ${there}`,
    );
  }
  if (chosen.length === 0) {
    throw new ShoalError('model_not_found', `there is no model that can be served in ${config.SHOAL_MODELS_DIR}`);
  }
  return [...chosen];
}

await runProcess({
  name: 'worker',
  load: loadConfig,
  openLog: (config) => createLogger({ name: 'worker', ...(config && { level: config.SHOAL_LOG_LEVEL }) }),
  start,
  graceMs: ({ SHOAL_DRAIN_TIMEOUT }) => SHOAL_DRAIN_TIMEOUT,
});
