/** From a model's folder to its worker: the session, what is proved of its rows, and what its micro-batches may hold. */
import type { RunGate } from '@shoal/batching';
import {
  encoderSession,
  findJoining,
  loadRunner,
  type Model,
  type ModelRunner,
  sessionModel,
  type TunedSettings,
  tellsEscalated,
  watchEscalated,
} from '@shoal/models';
import type { Runtime, Session } from '@shoal/onnxruntime';
import type { Logger, Tracer, WorkerMetrics } from '@shoal/telemetry';
import type { Config } from './config.js';
import { encoderWorker } from './encoder-worker.js';
import { findLimits, hardwareKind } from './limits.js';
import { LoadedGraph } from './loaded-graph.js';
import type { ModelWorker } from './model-worker.js';
import { tunedFor } from './tuned.js';

export interface LoadContext {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly metrics: WorkerMetrics;
  readonly gate: RunGate;
  readonly logger: Logger;
  readonly tracer: Tracer | undefined;
  readonly onRedisError: (error: Error) => void;
}

/** What a session is made from beside the model. */
export interface SessionContext extends Pick<LoadContext, 'runtime'> {
  readonly config: Pick<Config, 'SHOAL_CACHE_DIR' | 'SHOAL_DEVICE' | 'SHOAL_DEVICE_OPTIONS' | 'givenThreads'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export async function loadModel(model: Model, context: LoadContext): Promise<ModelWorker> {
  const started = performance.now();
  const graph = await LoadedGraph.of(model);
  const { session, tuned } = await openSession(model, context);
  try {
    await graph.confirm();
    return await prepare(model, session, { started, graph, tuned }, context);
  } catch (error) {
    // A model that fails in its first passes is not served, and its memory is given back.
    await session.release();
    throw error;
  }
}

/** A session of its graph, set as the environment says, and for the rest as it was tuned, which other devices than the CPU are not. */
export async function openSession(
  model: Model,
  {
    config: { SHOAL_CACHE_DIR: cacheDir, SHOAL_DEVICE: device, SHOAL_DEVICE_OPTIONS: deviceOptions, givenThreads },
    runtime,
    logger,
  }: SessionContext,
): Promise<{ readonly session: Session; readonly tuned: TunedSettings }> {
  const source = sessionModel(model.variants[model.variant]!, device);
  if (device !== 'cpu') {
    const tuned = givenThreads === undefined ? {} : { threads: givenThreads };
    const session = await runtime.createSession(source, { device, deviceOptions, intraOpThreads: givenThreads ?? 1 });
    return { session, tuned };
  }
  const tuned = await tunedFor(model, { cacheDir, runtime, logger, givenThreads });
  return { session: await runtime.createSession(source, { device, deviceOptions, ...encoderSession(tuned) }), tuned };
}

async function prepare(
  model: Model,
  session: Session,
  { started, graph, tuned }: { readonly started: number; readonly graph: LoadedGraph; readonly tuned: TunedSettings },
  { config, runtime, metrics, gate, logger, tracer, onRedisError }: LoadContext,
): Promise<ModelWorker> {
  const { SHOAL_DEVICE: device, SHOAL_DEVICE_OPTIONS: deviceOptions, givenThreads } = config;
  const intraOpThreads = tuned.threads ?? 1;
  // Where the environment says how passes run, each has one place.
  const places = givenThreads === undefined ? gate.forThreads(intraOpThreads) : gate;
  const { name, version, variant } = model;
  const loaded = performance.now();
  const { joining, passes } = await findJoining(model, session, {
    cacheDir: config.SHOAL_CACHE_DIR,
    runtimeVersion: runtime.version,
    device,
    deviceOptions,
    now: () => performance.now(),
  });
  const runner = loadRunner(model, session, joining);
  // Only what is in the way of joining is news.
  logger[joining.rows === 'any-length' ? 'debug' : 'info']('model.joining', {
    model: `${name}/${version}/${variant}`,
    ...joining,
    passes,
    seconds: Math.round(performance.now() - loaded) / 1000,
  });
  const measuring = {
    cacheDir: config.SHOAL_CACHE_DIR,
    device,
    deviceOptions,
    intraOpThreads,
    sideBySide: places.sideBySide,
    runtime: `${runtime.kind} ${runtime.version}`,
    tuned,
  };
  const { limits, measured } = await findLimits(runner, measuring);
  const seconds = (performance.now() - started) / 1000;
  const labels = { model: name, version, variant };
  const info = { ...labels, task: model.task, device, runtime: runtime.kind };
  metrics.modelLoadDuration.set(labels, seconds);
  metrics.modelInfo.set(info, 1);
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
  return encoderWorker({
    // Behind the passes over texts that nobody wrote.
    runner: tellsEscalated(model) ? counted(runner, session, metrics) : runner,
    graph,
    limits,
    hardware: hardwareKind(measuring),
    tokensPerSecond: measured?.tokensPerSecond ?? null,
    ...config.redis,
    gate: places,
    metrics,
    logger,
    tracer,
    onRedisError,
    random: Math.random,
    onStopped: () => {
      metrics.modelLoadDuration.remove(labels);
      metrics.modelInfo.remove(info);
      metrics.itemsInFlight.remove(labels);
    },
  });
}

/** The runner of a cascade, which counts what its teacher answers. From the start: a share of nothing is one, too. */
function counted({ model, joining }: ModelRunner, session: Session, { escalated }: WorkerMetrics): ModelRunner {
  const { name, version, variant } = model;
  const labels = { model: name, version, variant };
  escalated.inc(labels, 0);
  return loadRunner(
    model,
    watchEscalated(session, (rows) => escalated.inc(labels, rows)),
    joining,
  );
}
