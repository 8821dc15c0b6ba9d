/** The worker process: configure, load models, measure, consume, drain. */
import { RunGate } from '@shoal/batching';
import { blamePort, ConfigError, exitWithParent, httpOrigin, stopOnSignal } from '@shoal/config';
import { ShoalError } from '@shoal/contracts';
import { findJoining, loadRunner, type Model, openRepository, sessionModel } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { waitForRedis } from '@shoal/queue';
import {
  createLogger,
  createProcessMetrics,
  createWorkerMetrics,
  type Logger,
  logRarely,
  openTracer,
  servePrivately,
  type Tracer,
  type WorkerMetrics,
} from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { type Config, loadConfig } from './config.js';
import { findLimits, hardwareKind } from './limits.js';
import { ModelWorker } from './model-worker.js';

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
  const registry = new Registry();
  const processMetrics = createProcessMetrics(registry);
  const metrics = createWorkerMetrics(registry);
  const tellRedisError = logRarely(logger, 'queue.error', Date.now);
  const onRedisError = (error: Error) => {
    processMetrics.redisErrors.inc();
    tellRedisError(error);
  };
  const tracer = await openTracer({
    name: 'worker',
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    onError: logRarely(logger, 'tracing.error', Date.now),
  });
  const gate = new RunGate(config.concurrentRuns);
  let ready = false;
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: port } = config;
  const isReady = () => ready && workers.every(({ connected }) => connected);
  const server = await servePrivately(registry, isReady, host, port).catch(blamePort('SHOAL_METRICS_PORT', host, port));
  const workers: ModelWorker[] = [];
  const context = { config, runtime, metrics, gate, logger, tracer, onRedisError };
  for (const model of models) workers.push(await loadModel(model, context));
  processMetrics.watchRedis(() => workers.every(({ connected }) => connected));
  // At once: of a Redis Cluster, the node of one model may be away.
  await Promise.all(workers.map((worker) => worker.start()));
  ready = true;
  const seconds = process.uptime();
  await Promise.all(workers.map((worker) => worker.reportColdStart(seconds)));
  logger.info('worker.ready', {
    metrics: `${httpOrigin(host, server.port)}/metrics`,
    models: models.map(({ name, version, variant }) => `${name}/${version}/${variant}`),
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
  const { models, problems, generators } = await openRepository(config.SHOAL_MODELS_DIR);
  for (const { folder, message } of problems) logger.warn('model.skipped', { folder, reason: message });
  for (const { folder, message } of generators) logger.info('model.not_served', { folder, reason: message });
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

interface LoadContext {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly metrics: WorkerMetrics;
  readonly gate: RunGate;
  readonly logger: Logger;
  readonly tracer: Tracer | undefined;
  readonly onRedisError: (error: Error) => void;
}

async function loadModel(model: Model, context: LoadContext): Promise<ModelWorker> {
  const { config, runtime, metrics, gate, logger, tracer, onRedisError } = context;
  const started = performance.now();
  const { SHOAL_DEVICE: device, SHOAL_DEVICE_OPTIONS: deviceOptions, SHOAL_INTRA_OP_THREADS: intraOpThreads } = config;
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!, device), {
    device,
    deviceOptions,
    intraOpThreads,
  });
  const loaded = performance.now();
  const { joining, passes } = await findJoining(model, session, {
    cacheDir: config.SHOAL_CACHE_DIR,
    runtimeVersion: runtime.version,
    device,
    deviceOptions,
    now: () => performance.now(),
  });
  const runner = loadRunner(model, session, joining);
  logger.info('model.joining', {
    model: `${model.name}/${model.version}/${model.variant}`,
    ...joining,
    passes,
    seconds: Math.round(performance.now() - loaded) / 1000,
  });
  // A device takes passes in turn, and so does a session that lives in a thread of its own.
  const lanes = device === 'cpu' && runtime.kind === 'c-api' ? config.concurrentRuns : 1;
  const measuring = {
    cacheDir: config.SHOAL_CACHE_DIR,
    device,
    deviceOptions,
    intraOpThreads,
    lanes,
    runtime: `${runtime.kind} ${runtime.version}`,
  };
  const { limits, measured } = await findLimits(runner, measuring);
  const { name, version, variant } = model;
  const seconds = (performance.now() - started) / 1000;
  metrics.modelLoadDuration.set({ model: name, version, variant }, seconds);
  metrics.modelInfo.set({ model: name, version, variant, task: model.task, device, runtime: runtime.kind }, 1);
  logger.info('model.loaded', {
    model: name,
    version,
    variant,
    seconds: Math.round(seconds * 100) / 100,
    ...limits,
  });
  if (measured) {
    const { kept, rounds, spread, tokensPerSecond } = measured;
    logger.info('model.measured', { model: name, version, variant, kept, rounds, spread, tokensPerSecond });
  }
  return new ModelWorker({
    runner,
    limits,
    hardware: hardwareKind(measuring),
    tokensPerSecond: measured?.tokensPerSecond ?? null,
    ...config.redis,
    concurrentRuns: config.concurrentRuns,
    lanes,
    gate,
    metrics,
    logger,
    tracer,
    onRedisError,
    random: Math.random,
  });
}

async function main(): Promise<void> {
  let logger = createLogger({ name: 'worker' });
  try {
    const config = loadConfig();
    logger = createLogger({ name: 'worker', level: config.SHOAL_LOG_LEVEL });
    for (const { variable, message } of config.unknown) logger.warn('config.unknown', { variable, reason: message });
    await stopOnSignal({
      start: () => start(config, logger),
      graceMs: config.SHOAL_DRAIN_TIMEOUT,
      say: (stage, error) => logger[error === undefined ? 'info' : 'error'](`worker.${stage}`, {}, error),
    });
    exitWithParent();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof ShoalError) process.stderr.write(`${error.message}\n`);
    else logger.fatal('worker.start_failed', {}, error);
    process.exit(1);
  }
}

await main();
